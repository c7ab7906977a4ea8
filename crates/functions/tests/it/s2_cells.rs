//! The batch kernel against the `s2` crate, bit for bit, and against ids published elsewhere.

use functions::geo::{LEVEL_MAX, NO_CELL, s2_cell_id, s2_cell_ids};
use s2::{cellid::CellID, latlng::LatLng};

fn crate_cell(lat: f64, lon: f64, level: u8) -> u64 {
    CellID::from(LatLng::from_degrees(lat, lon)).parent(u64::from(level)).0
}

fn check(lat: &[f64], lon: &[f64], level: u8) {
    let batch = s2_cell_ids(lat, lon, level);
    assert_eq!(batch.len(), lat.len());
    for (row, &cell) in batch.iter().enumerate() {
        let expected = crate_cell(lat[row], lon[row], level);
        assert_eq!(cell, expected, "batch at ({}, {}) level {level}", lat[row], lon[row]);
        assert_eq!(s2_cell_id(lat[row], lon[row], level), expected, "single");
    }
}

/// Knuth's MMIX generator: the same points on every run.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn random_points_of_the_globe_equal_the_s2_crate() {
    let mut random = Random(1);
    for level in 0..=LEVEL_MAX {
        let points = if matches!(level, 13 | 30) { 1_000_000 } else { 100_000 };
        let lat: Vec<f64> = (0..points).map(|_| 180.0 * random.unit() - 90.0).collect();
        let lon: Vec<f64> = (0..points).map(|_| 360.0 * random.unit() - 180.0).collect();
        check(&lat, &lon, level);
    }
}

#[test]
fn points_on_and_beside_edges_equal_the_s2_crate() {
    // Corners of cells at all levels, as near to an edge as a double gets, and the special meridians.
    let mut random = Random(2);
    let (mut lat, mut lon) = (Vec::new(), Vec::new());
    for _ in 0..20_000 {
        let leaf = crate_cell(180.0 * random.unit() - 90.0, 360.0 * random.unit() - 180.0, 30);
        let cell = CellID(leaf).parent((random.unit() * 30.0) as u64);
        for corner in s2::cell::Cell::from(cell).vertices() {
            let corner = LatLng::from(corner);
            lat.push(corner.lat.deg());
            lon.push(corner.lng.deg());
        }
    }
    let special_lat: [f64; 11] = [
        -90.0,
        -89.999_999_999,
        -45.0,
        -35.264_389_682_754_654,
        -0.0,
        0.0,
        1e-300,
        35.264_389_682_754_654,
        45.0,
        89.999_999_999,
        90.0,
    ];
    let special_lon: [f64; 13] =
        [-180.0, -179.999_999_999, -135.0, -90.0, -45.0, -0.0, 0.0, 1e-300, 45.0, 90.0, 135.0, 179.999_999_999, 180.0];
    for a in special_lat {
        for b in special_lon {
            for (a, b) in [(a, b), (a.next_up(), b), (a.next_down(), b), (a, b.next_up()), (a, b.next_down())] {
                if a.abs() <= 90.0 && b.abs() <= 180.0 {
                    lat.push(a);
                    lon.push(b);
                }
            }
        }
    }
    for level in 0..=LEVEL_MAX {
        check(&lat, &lon, level);
    }
}

#[test]
fn points_off_the_globe_have_no_cell() {
    let lat = [f64::NAN, 0.0, 90.1, -90.000_001, 0.0, f64::INFINITY, 0.0, 1.0];
    let lon = [0.0, f64::NAN, 0.0, 0.0, 180.1, 0.0, f64::NEG_INFINITY, 1.0];
    let cells = s2_cell_ids(&lat, &lon, 10);
    assert!(cells[..7].iter().all(|&cell| cell == NO_CELL), "{cells:?}");
    assert_eq!(cells[7], crate_cell(1.0, 1.0, 10));
}

#[test]
fn batches_of_every_length_give_what_single_points_give() {
    let mut random = Random(3);
    for length in [0, 1, 127, 128, 129, 300] {
        let lat: Vec<f64> = (0..length).map(|_| 180.0 * random.unit() - 90.0).collect();
        let lon: Vec<f64> = (0..length).map(|_| 360.0 * random.unit() - 180.0).collect();
        check(&lat, &lon, 13);
    }
}
