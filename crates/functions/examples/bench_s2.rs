//! What an S2 cell id costs, beside the `s2` crate on the same points:
//! `cargo run --release -p functions --example bench_s2`. The last line is one JSON object.

use std::hint::black_box;
use std::time::Instant;

use functions::geo::s2_cell_ids;
use s2::{cellid::CellID, latlng::LatLng};

const POINTS: usize = 1 << 20;
const ROUNDS: usize = 9;
const LEVEL: u8 = 13;

fn main() {
    // Points of Jakarta, from a fixed linear congruential generator (Knuth's MMIX constants).
    let mut state = 42u64;
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let lat: Vec<f64> = (0..POINTS).map(|_| -6.40 + 0.35 * random()).collect();
    let lon: Vec<f64> = (0..POINTS).map(|_| 106.65 + 0.35 * random()).collect();

    let ours = median(|| s2_cell_ids(black_box(&lat), black_box(&lon), LEVEL));
    let limit = median(|| {
        black_box(&lat)
            .iter()
            .zip(black_box(&lon))
            .map(|(&lat, &lon)| CellID::from(LatLng::from_degrees(lat, lon)).parent(u64::from(LEVEL)).0)
            .collect()
    });
    println!(
        "{{\"name\":\"s2\",\"ours\":{ours:.1},\"limit\":{limit:.1},\"unit\":\"ns/point\",\"ratio\":{:.2}}}",
        limit / ours
    );
}

/// Nanoseconds a point, median of the rounds.
fn median(mut cells: impl FnMut() -> Vec<u64>) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(cells());
            start.elapsed().as_secs_f64() * 1e9 / POINTS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
