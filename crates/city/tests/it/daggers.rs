//! The demo daggers speak of what is there.

#[test]
fn the_daggers_use_topics_and_message_types_of_the_city() {
    let topics = city::topics();
    for dagger in city::daggers() {
        assert!(dagger.yaml.contains(&format!("name: {}\n", dagger.name)), "{}", dagger.name);
        let mut streams = 0;
        for line in dagger.yaml.lines() {
            if let Some(schema) = line.trim().strip_prefix("schema: ") {
                streams += 1;
                assert!(topics.iter().any(|topic| topic.message_full_name == schema), "{schema}");
            }
            if let Some(names) = line.trim().strip_prefix("topics: [").and_then(|rest| rest.strip_suffix(']')) {
                for name in names.split(", ") {
                    assert!(topics.iter().any(|topic| topic.name == name), "{name}");
                }
            }
        }
        assert!(streams > 0, "{} has no stream", dagger.name);
    }
}
