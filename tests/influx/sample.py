"""A few points that the client tests write: two hosts, two measurements, a gap, text, a boolean, an integer."""

BEGIN = 1_700_000_000


def lines():
    """Line protocol with times in seconds."""
    written = []
    for step in range(60):
        at = BEGIN + step * 10
        for host, region, base in (("server01", "eu", 90), ("server02", "us", 40)):
            if 20 <= step < 26 and host == "server02":
                continue
            idle, user = base + (step * 7 + len(host)) % 10, (step * 3) % 5 + 0.5
            written.append(f"cpu,host={host},region={region} usage_idle={idle},usage_user={user},n={step}i {at}")
    for step in range(5):
        written.append(f'events,host=server01 text="deploy {step}, \\"quick\\"",ok={"t" if step % 2 else "f"} {BEGIN + step * 60}')
    return written
