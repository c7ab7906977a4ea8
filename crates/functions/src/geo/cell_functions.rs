//! The SQL functions that name the cell of a point, each as text and as key.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, UInt64Array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use datafusion::common::{Result, exec_datafusion_err};
use h3o::{LatLng, Resolution};

use super::{LEVEL_MAX, NO_CELL, geohash_cells, s2_cell_id, s2_cell_ids};
use crate::scalar::{Call, Definition, Evaluation, Kind, returning};
use crate::{FunctionDoc, FunctionKind};

const S2_PARAMETERS: &[(&str, Kind)] = &[("lat", Kind::Number), ("lon", Kind::Number), ("level", Kind::Integer)];
const GEOHASH_PARAMETERS: &[(&str, Kind)] = &[("lat", Kind::Number), ("lon", Kind::Number), ("length", Kind::Integer)];
const H3_PARAMETERS: &[(&str, Kind)] = &[("lat", Kind::Number), ("lon", Kind::Number), ("resolution", Kind::Integer)];
const KEY_PARAMETER: &[(&str, Kind)] = &[("key", Kind::Key)];

/// A text function, the function that makes its key, and the one that makes the text of a key.
pub(crate) struct KeyFormDefinition {
    pub text_function: &'static str,
    pub key: &'static Definition,
    pub text: &'static Definition,
}

pub(crate) static KEY_FORMS: &[KeyFormDefinition] = &[
    KeyFormDefinition { text_function: "s2id", key: &S2_CELL_KEY, text: &S2_KEY_ID },
    KeyFormDefinition { text_function: "s2token", key: &S2_CELL_KEY, text: &S2_KEY_TOKEN },
    KeyFormDefinition { text_function: "geohash", key: &GEOHASH_KEY, text: &GEOHASH_KEY_TEXT },
    KeyFormDefinition { text_function: "h3id", key: &H3_CELL_KEY, text: &H3_KEY_TEXT },
];

pub(crate) static CELL_FUNCTIONS: &[&Definition] = &[
    &S2_ID,
    &S2_TOKEN,
    &GEO_HASH,
    &H3_ID,
    &S2_CELL_KEY,
    &S2_KEY_ID,
    &S2_KEY_TOKEN,
    &GEOHASH_KEY,
    &GEOHASH_KEY_TEXT,
    &H3_CELL_KEY,
    &H3_KEY_TEXT,
];

static S2_ID: Definition = Definition {
    doc: FunctionDoc {
        name: "S2Id",
        kind: FunctionKind::Scalar,
        signature: "S2Id(lat DOUBLE, lon DOUBLE, level INT) -> STRING",
        description: "The id of the S2 cell at the level (0 to 30) that holds the point, as decimal text of the unsigned 64-bit number. NULL where the point is not on the globe (NaN, or outside -90 to 90 and -180 to 180 degrees). Dagger writes the signed number, which differs for the faces 4 and 5 (south and west of about the Americas and Antarctica).",
        example: "S2Id(-6.17, 106.82, 13)",
    },
    aliases: &[],
    parameters: S2_PARAMETERS,
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| texts_of(&s2_keys(call)?, push_decimal)),
};

static S2_TOKEN: Definition = Definition {
    doc: FunctionDoc {
        name: "S2Token",
        kind: FunctionKind::Scalar,
        signature: "S2Token(lat DOUBLE, lon DOUBLE, level INT) -> STRING",
        description: "The token of the S2 cell at the level (0 to 30) that holds the point: the id in hexadecimal without trailing zeros. NULL where the point is not on the globe.",
        example: "S2Token(-6.17, 106.82, 13)",
    },
    aliases: &[],
    parameters: S2_PARAMETERS,
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| texts_of(&s2_keys(call)?, push_token)),
};

static S2_CELL_KEY: Definition = Definition {
    doc: FunctionDoc {
        name: "S2_Cell_Key",
        kind: FunctionKind::Scalar,
        signature: "S2_Cell_Key(lat DOUBLE, lon DOUBLE, level INT) -> UINT64",
        description: "The id of the S2 cell as a number: what S2Id and S2Token are grouped by.",
        example: "S2_Cell_Key(-6.17, 106.82, 13)",
    },
    aliases: &[],
    parameters: S2_PARAMETERS,
    optional: 0,
    returns: returning::key,
    evaluation: Evaluation::Columns(|call| Ok(Arc::new(s2_keys(call)?))),
};

static S2_KEY_ID: Definition = Definition {
    doc: FunctionDoc {
        name: "S2_Key_Id",
        kind: FunctionKind::Scalar,
        signature: "S2_Key_Id(key UINT64) -> STRING",
        description: "The S2 id as decimal text, from the number.",
        example: "S2_Key_Id(S2_Cell_Key(-6.17, 106.82, 13))",
    },
    aliases: &[],
    parameters: KEY_PARAMETER,
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| texts_of(&given_keys(call)?, push_decimal)),
};

static S2_KEY_TOKEN: Definition = Definition {
    doc: FunctionDoc {
        name: "S2_Key_Token",
        kind: FunctionKind::Scalar,
        signature: "S2_Key_Token(key UINT64) -> STRING",
        description: "The S2 token, from the number.",
        example: "S2_Key_Token(S2_Cell_Key(-6.17, 106.82, 13))",
    },
    aliases: &[],
    parameters: KEY_PARAMETER,
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| texts_of(&given_keys(call)?, push_token)),
};

static GEO_HASH: Definition = Definition {
    doc: FunctionDoc {
        name: "GeoHash",
        kind: FunctionKind::Scalar,
        signature: "GeoHash(lat DOUBLE, lon DOUBLE, length INT) -> STRING",
        description: "The geohash of the point with the given number of characters (1 to 12). NULL where the point is not on the globe.",
        example: "GeoHash(-6.17, 106.82, 6)",
    },
    aliases: &[],
    parameters: GEOHASH_PARAMETERS,
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| texts_of(&geohash_keys(call)?, geohash_cells::push_text)),
};

static GEOHASH_KEY: Definition = Definition {
    doc: FunctionDoc {
        name: "Geohash_Key",
        kind: FunctionKind::Scalar,
        signature: "Geohash_Key(lat DOUBLE, lon DOUBLE, length INT) -> UINT64",
        description: "The geohash as a number: what GeoHash is grouped by.",
        example: "Geohash_Key(-6.17, 106.82, 6)",
    },
    aliases: &[],
    parameters: GEOHASH_PARAMETERS,
    optional: 0,
    returns: returning::key,
    evaluation: Evaluation::Columns(|call| Ok(Arc::new(geohash_keys(call)?))),
};

static GEOHASH_KEY_TEXT: Definition = Definition {
    doc: FunctionDoc {
        name: "Geohash_Key_Text",
        kind: FunctionKind::Scalar,
        signature: "Geohash_Key_Text(key UINT64) -> STRING",
        description: "The geohash as text, from the number.",
        example: "Geohash_Key_Text(Geohash_Key(-6.17, 106.82, 6))",
    },
    aliases: &[],
    parameters: KEY_PARAMETER,
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| texts_of(&given_keys(call)?, geohash_cells::push_text)),
};

static H3_ID: Definition = Definition {
    doc: FunctionDoc {
        name: "H3Id",
        kind: FunctionKind::Scalar,
        signature: "H3Id(lat DOUBLE, lon DOUBLE, resolution INT) -> STRING",
        description: "The H3 cell at the resolution (0 to 15) that holds the point, as hexadecimal text. NULL where the point is not on the globe.",
        example: "H3Id(-6.17, 106.82, 8)",
    },
    aliases: &[],
    parameters: H3_PARAMETERS,
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| texts_of(&h3_keys(call)?, push_hex)),
};

static H3_CELL_KEY: Definition = Definition {
    doc: FunctionDoc {
        name: "H3_Cell_Key",
        kind: FunctionKind::Scalar,
        signature: "H3_Cell_Key(lat DOUBLE, lon DOUBLE, resolution INT) -> UINT64",
        description: "The H3 cell as a number: what H3Id is grouped by.",
        example: "H3_Cell_Key(-6.17, 106.82, 8)",
    },
    aliases: &[],
    parameters: H3_PARAMETERS,
    optional: 0,
    returns: returning::key,
    evaluation: Evaluation::Columns(|call| Ok(Arc::new(h3_keys(call)?))),
};

static H3_KEY_TEXT: Definition = Definition {
    doc: FunctionDoc {
        name: "H3_Key_Text",
        kind: FunctionKind::Scalar,
        signature: "H3_Key_Text(key UINT64) -> STRING",
        description: "The H3 cell as text, from the number.",
        example: "H3_Key_Text(H3_Cell_Key(-6.17, 106.82, 8))",
    },
    aliases: &[],
    parameters: KEY_PARAMETER,
    optional: 0,
    returns: returning::text,
    evaluation: Evaluation::Columns(|call| texts_of(&given_keys(call)?, push_hex)),
};

fn given_keys(call: &Call) -> Result<UInt64Array> {
    Ok(call.keys(0)?.array)
}

/// A level, length or resolution of a row, checked.
fn depth(call: &Call, name: &str, value: i64, least: u8, most: u8) -> Result<u8> {
    match u8::try_from(value) {
        Ok(depth) if (least..=most).contains(&depth) => Ok(depth),
        _ => Err(call.refuse(name, value, &format!("{least} to {most}"))),
    }
}

fn s2_keys(call: &Call) -> Result<UInt64Array> {
    let (lat, lon, level) = (call.numbers(0)?, call.numbers(1)?, call.integers(2)?);
    let columns = !lat.literal && !lon.literal;
    if level.literal && columns {
        let Some(level) = level.get(0) else {
            return Ok(UInt64Array::new_null(call.rows));
        };
        let level = depth(call, "level", level, 0, LEVEL_MAX)?;
        let cells = s2_cell_ids(lat.array.values(), lon.array.values(), level);
        let on_globe = NullBuffer::from_iter(cells.iter().map(|&cell| cell != NO_CELL));
        let given = NullBuffer::union(lat.array.nulls(), lon.array.nulls());
        let nulls = NullBuffer::union(given.as_ref(), Some(&on_globe));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        return Ok(UInt64Array::new(cells.into(), nulls));
    }
    by_row(call, "level", 0, LEVEL_MAX, |lat, lon, level| {
        Ok(Some(s2_cell_id(lat, lon, level)).filter(|&cell| cell != NO_CELL))
    })
}

fn geohash_keys(call: &Call) -> Result<UInt64Array> {
    by_row(call, "length", 1, geohash_cells::LENGTH_MAX, |lat, lon, length| Ok(geohash_cells::key(lat, lon, length)))
}

fn h3_keys(call: &Call) -> Result<UInt64Array> {
    /// The finest resolution of H3.
    const RESOLUTION_MAX: u8 = 15;
    by_row(call, "resolution", 0, RESOLUTION_MAX, |lat, lon, resolution| {
        if !(lat.abs() <= 90.0 && lon.abs() <= 180.0) {
            return Ok(None);
        }
        let point = LatLng::new(lat, lon).map_err(|error| exec_datafusion_err!("H3Id: {error}"))?;
        let resolution = Resolution::try_from(resolution).map_err(|error| exec_datafusion_err!("H3Id: {error}"))?;
        Ok(Some(u64::from(point.to_cell(resolution))))
    })
}

fn by_row(
    call: &Call,
    depth_name: &str,
    least: u8,
    most: u8,
    cell: impl Fn(f64, f64, u8) -> Result<Option<u64>>,
) -> Result<UInt64Array> {
    let (lat, lon, depths) = (call.numbers(0)?, call.numbers(1)?, call.integers(2)?);
    (0..call.rows)
        .map(|row| match (lat.get(row), lon.get(row), depths.get(row)) {
            (Some(lat), Some(lon), Some(value)) => cell(lat, lon, depth(call, depth_name, value, least, most)?),
            _ => Ok(None),
        })
        .collect()
}

/// A text per key, written straight into the column's buffer.
fn texts_of(keys: &UInt64Array, push: fn(u64, &mut Vec<u8>)) -> Result<ArrayRef> {
    /// Most texts are shorter; the buffer grows where they are not.
    const TEXT_BYTES: usize = 20;
    let mut bytes = Vec::with_capacity(keys.len() * TEXT_BYTES);
    let mut ends = Vec::with_capacity(keys.len() + 1);
    ends.push(0i32);
    for row in 0..keys.len() {
        if keys.is_valid(row) {
            push(keys.value(row), &mut bytes);
        }
        let end = i32::try_from(bytes.len())
            .map_err(|_| exec_datafusion_err!("the texts of one batch of cells exceed 2 GiB"))?;
        ends.push(end);
    }
    let offsets = OffsetBuffer::new(ends.into());
    let texts = StringArray::try_new(offsets, Buffer::from_vec(bytes), keys.nulls().cloned())?;
    Ok(Arc::new(texts))
}

fn push_decimal(key: u64, text: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    let mut rest = key;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[first..]);
}

/// Hexadecimal of all 16 digits without the trailing zeros; `X` for no cell, as in the S2 library.
fn push_token(key: u64, text: &mut Vec<u8>) {
    if key == NO_CELL {
        text.push(b'X');
        return;
    }
    let digits = 16 - key.trailing_zeros() / 4;
    for digit in 0..digits {
        text.push(HEX[(key >> (60 - 4 * digit)) as usize & 15]);
    }
}

/// Hexadecimal without leading zeros.
fn push_hex(key: u64, text: &mut Vec<u8>) {
    let digits = (64 - key.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        text.push(HEX[(key >> (4 * digit)) as usize & 15]);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
