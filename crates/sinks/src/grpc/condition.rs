//! Which responses are success: an expression over the decoded response.

use bytes::Bytes;
use codec::{DecodeOptions, DecodeProgram, Projection};
use prost_reflect::MessageDescriptor;
use rows::RowWriter;
use shape::{Shape, ShapeSpec};

use crate::SettingError;
use crate::http::shortened;

pub(super) struct Condition {
    text: String,
    program: DecodeProgram,
    shape: Shape,
}

impl Condition {
    pub fn compile(text: &str, response: &MessageDescriptor) -> Result<Self, SettingError> {
        let error = |detail: String, hint: String| SettingError::at("successWhen", detail, hint);
        let program = DecodeProgram::compile(response, &Projection::all(), &DecodeOptions::default())
            .map_err(|why| error(why.to_string(), "leave `successWhen` out".to_owned()))?;
        let spec = ShapeSpec { filter: Some(text.to_owned()), ..ShapeSpec::default() };
        let shape = Shape::compile(&spec, program.schema()).map_err(|why| error(why.detail, why.hint))?;
        Ok(Self { text: text.to_owned(), program, shape })
    }

    /// Why responses are no success, by their index, in ascending order.
    pub fn refused(&self, responses: &[Bytes]) -> Vec<(usize, String)> {
        let (mut data, mut spans) = (Vec::new(), Vec::with_capacity(responses.len()));
        for response in responses {
            // Responses are bounded, and so is their number.
            spans.push((data.len() as u32, response.len() as u32));
            data.extend_from_slice(response);
        }
        let decoded = self.program.decoder().decode(&Bytes::from(data), &spans);
        let response =
            |row: usize| decoded.rows.as_ref().and_then(|rows| rows.get(row)).map_or(row, |row| *row as usize);
        let broken = decoded
            .errors
            .iter()
            .map(|broken| (broken.index as usize, format!("the response cannot be decoded: {}", broken.error)));
        let mut refused: Vec<(usize, String)> = broken.collect();
        match self.shape.apply(&decoded.batch) {
            Ok(shaped) => {
                let writer = RowWriter::new(decoded.batch.schema_ref());
                let bound = writer.bind(&decoded.batch).ok();
                refused.extend(shaped.filtered.iter().map(|row| {
                    let mut json = Vec::new();
                    bound.iter().for_each(|bound| bound.write_row(*row, &mut json));
                    let shown = shortened(&String::from_utf8_lossy(&json));
                    (response(*row), format!("the response is not `{}`: {shown}", self.text))
                }));
                refused.extend(shaped.failed.into_iter().map(|(row, reason)| {
                    (response(row), format!("`{}` cannot be found out of the response: {reason}", self.text))
                }));
            }
            Err(error) => {
                let reason = format!("the responses cannot be looked at: {error}");
                refused = (0..responses.len()).map(|index| (index, reason.clone())).collect();
            }
        }
        refused.sort_by_key(|(index, _)| *index);
        refused
    }
}
