//! Whether names are known, and whether somebody answers at their addresses: all at once, each in a thread, because the
//! system's resolver cannot be hurried.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::cluster_config::split_address;

/// Most addresses of one name that are tried.
const ADDRESSES_TRIED_MAX: usize = 8;

/// An address (`host:port`) that leads nowhere, and why.
#[derive(Debug)]
pub(super) struct Place {
    pub address: String,
    pub reason: String,
}

/// An address with what its name stands for.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub address: String,
    found: Vec<SocketAddr>,
}

pub(super) fn join(places: &[Place]) -> String {
    const PLACES_SHOWN_MAX: usize = 5;
    let shown = places.iter().take(PLACES_SHOWN_MAX).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match places.len().saturating_sub(PLACES_SHOWN_MAX) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

pub(super) fn resolve(addresses: &[String], time_max: Duration) -> (Vec<Named>, Vec<Place>) {
    let found = at_once(addresses.to_vec(), time_max, |address, _| {
        let (host, port) = split_address(&address).ok_or("it is no address")?;
        let found = (host, port).to_socket_addrs().map_err(|error| format!("the name is not known ({error})"))?;
        let found: Vec<SocketAddr> = found.take(ADDRESSES_TRIED_MAX).collect();
        if found.is_empty() { Err("the name has no address".to_owned()) } else { Ok(Named { address, found }) }
    });
    apart(addresses, found, time_max)
}

/// The addresses (`host:port`) that answer, and those that do not.
pub(super) fn connect(named: &[Named], time_max: Duration) -> (Vec<String>, Vec<Place>) {
    let found = at_once(named.to_vec(), time_max, move |named, deadline| {
        let mut reason = "it has no address".to_owned();
        for address in &named.found {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(address, left) {
                Ok(_) => return Ok(named.address),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return Err(silence(time_max)),
                Err(error) => reason = format!("nobody answers at {address} ({error})"),
            }
        }
        Err(reason)
    });
    let addresses: Vec<String> = named.iter().map(|named| named.address.clone()).collect();
    apart(&addresses, found, time_max)
}

/// What has no answer has taken too long.
fn apart<T>(asked: &[String], found: Vec<Option<Result<T, String>>>, time_max: Duration) -> (Vec<T>, Vec<Place>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (address, found) in asked.iter().zip(found) {
        match found.unwrap_or_else(|| Err(silence(time_max))) {
            Ok(found) => good.push(found),
            Err(reason) => bad.push(Place { address: address.clone(), reason }),
        }
    }
    (good, bad)
}

fn silence(time_max: Duration) -> String {
    format!("no answer within {:.0} s", time_max.as_secs_f64().ceil())
}

/// A thread that is not done in time goes on and is not waited for.
fn at_once<I: Send + 'static, T: Send + 'static>(
    inputs: Vec<I>,
    time_max: Duration,
    work: impl Fn(I, Instant) -> Result<T, String> + Copy + Send + 'static,
) -> Vec<Option<Result<T, String>>> {
    let deadline = Instant::now() + time_max;
    let (answer, answers) = mpsc::channel();
    let mut results: Vec<Option<Result<T, String>>> = inputs.iter().map(|_| None).collect();
    for (index, input) in inputs.into_iter().enumerate() {
        let answer = answer.clone();
        let thread = std::thread::Builder::new().name("kafka-test".to_owned());
        let started = thread.spawn(move || {
            // Nobody may be waiting any more.
            let _ = answer.send((index, work(input, deadline)));
        });
        if let Err(error) = started {
            results[index] = Some(Err(format!("no thread to try it: {error}")));
        }
    }
    drop(answer);
    while let Ok((index, result)) = answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        results[index] = Some(result);
    }
    results
}
