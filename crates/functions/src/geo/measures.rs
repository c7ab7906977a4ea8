//! Distances and areas.

use std::f64::consts::PI;
use std::sync::Arc;

use arrow::array::Float64Array;
use datafusion::common::Result;
use s2::cell::Cell;
use s2::cellid::CellID;

use crate::scalar::{Call, Definition, Evaluation, Kind, returning};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static MEASURE_FUNCTIONS: &[&Definition] = &[&DISTANCE, &S2_AREA];

/// Mean radius of the earth in kilometres, as in Dagger.
const EARTH_RADIUS_KM: f64 = 6371.0;
/// Surface of the earth in square kilometres, as in Dagger.
const EARTH_AREA_KM2: f64 = 510_072_000.0;

static DISTANCE: Definition = Definition {
    doc: FunctionDoc {
        name: "Distance",
        kind: FunctionKind::Scalar,
        signature: "Distance(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE) -> DOUBLE",
        description: "Great-circle distance in kilometres (haversine formula, radius 6371 km). NULL where an argument is NULL or a point is not on the globe.",
        example: "Distance(-6.17, 106.82, -6.12, 106.65)",
    },
    aliases: &[],
    parameters: &[("lat1", Kind::Number), ("lon1", Kind::Number), ("lat2", Kind::Number), ("lon2", Kind::Number)],
    optional: 0,
    returns: returning::double,
    evaluation: Evaluation::Columns(|call| {
        let (lat1, lon1) = (call.numbers(0)?, call.numbers(1)?);
        let (lat2, lon2) = (call.numbers(2)?, call.numbers(3)?);
        let kilometres: Float64Array = (0..call.rows)
            .map(|row| {
                let from = on_globe(lat1.get(row)?, lon1.get(row)?)?;
                let to = on_globe(lat2.get(row)?, lon2.get(row)?)?;
                Some(haversine_km(from, to))
            })
            .collect();
        Ok(Arc::new(kilometres))
    }),
};

fn on_globe(lat: f64, lon: f64) -> Option<(f64, f64)> {
    (lat.abs() <= 90.0 && lon.abs() <= 180.0).then_some((lat, lon))
}

fn haversine_km((lat1, lon1): (f64, f64), (lat2, lon2): (f64, f64)) -> f64 {
    let radians = PI / 180.0;
    let half_lat = (lat2 - lat1) * radians / 2.0;
    let half_lon = (lon2 - lon1) * radians / 2.0;
    let a = half_lat.sin().powi(2) + (lat1 * radians).cos() * (lat2 * radians).cos() * half_lon.sin().powi(2);
    // Rounding may carry `a` just past 1 for opposite points.
    let a = a.min(1.0);
    EARTH_RADIUS_KM * 2.0 * a.sqrt().atan2((1.0 - a).sqrt())
}

static S2_AREA: Definition = Definition {
    doc: FunctionDoc {
        name: "S2AreaInKm2",
        kind: FunctionKind::Scalar,
        signature: "S2AreaInKm2(s2id STRING) -> DOUBLE",
        description: "Area of the S2 cell in square kilometres. Takes the decimal id, unsigned as S2Id writes it or signed as Dagger does. A text that is not the id of a cell is an error.",
        example: "S2AreaInKm2(S2Id(-6.17, 106.82, 13))",
    },
    aliases: &[],
    parameters: &[("s2id", Kind::Text)],
    optional: 0,
    returns: returning::double,
    evaluation: Evaluation::Columns(|call| {
        let ids = call.texts(0)?;
        let areas: Float64Array =
            (0..call.rows).map(|row| ids.get(row).map(|id| area_km2(call, id)).transpose()).collect::<Result<_>>()?;
        Ok(Arc::new(areas))
    }),
};

fn area_km2(call: &Call, text: &str) -> Result<f64> {
    let id = text
        .parse::<u64>()
        .or_else(|_| text.parse::<i64>().map(i64::cast_unsigned))
        .map(CellID)
        .ok()
        .filter(CellID::is_valid);
    match id {
        Some(id) => Ok(Cell::from(id).exact_area() * EARTH_AREA_KM2 / (4.0 * PI)),
        None => Err(call.refuse("s2id", format!("'{text}'"), "the decimal id of an S2 cell")),
    }
}
