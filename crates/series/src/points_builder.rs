//! Making new chunks of merged ones.

use crate::ScanOrder;
use crate::chunk::{Field, Points, Texts, Values, list_series};
use crate::merge::Picked;

/// Points gathered so far; those of a point that was written several times are one.
#[derive(Default)]
pub(crate) struct PointsBuilder {
    points: Points,
    series: Vec<u64>,
    /// Bytes in memory, about.
    weight: usize,
}

impl PointsBuilder {
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Appends points that were picked in ascending order; `None` if chunks do not agree on the type of a field.
    pub(crate) fn append<T>(&mut self, picked: &Picked<T>) -> Option<()> {
        let before = self.points.rows();
        for piece in &picked.pieces {
            let (source, rows) = (&picked.sources[piece.source].points, piece.first..piece.first + piece.length);
            self.points.times.extend_from_slice(&source.times[rows.clone()]);
            self.series.extend(source.series[rows.clone()].iter().map(|index| source.series_list[*index as usize]));
            self.points.sequences.extend_from_slice(&source.sequences[rows.clone()]);
            // They were not read where they are not needed.
            self.points.written.extend_from_slice(source.written.get(rows).unwrap_or_default());
        }
        if self.points.key_tags.is_some() || picked.sources.iter().any(|source| source.points.key_tags.is_some()) {
            let tags = self.points.key_tags.get_or_insert_with(|| empty_texts(before));
            for piece in &picked.pieces {
                let source = &picked.sources[piece.source].points;
                piece.rows(ScanOrder::Ascending).for_each(|row| tags.push(source.key_tags_of(row)));
            }
        }
        let mut numbers: Vec<u32> = self.points.fields.iter().map(|field| field.number).collect();
        numbers.extend(picked.sources.iter().flat_map(|source| source.points.fields.iter().map(|field| field.number)));
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            self.append_field(picked, number, before)?;
        }
        self.weight = self.points.weight() + self.series.len() * 8;
        Some(())
    }

    fn append_field<T>(&mut self, picked: &Picked<T>, number: u32, before: usize) -> Option<()> {
        let sources: Vec<Option<&Field>> = picked.sources.iter().map(|source| source.points.field(number)).collect();
        let place = match self.points.fields.binary_search_by_key(&number, |field| field.number) {
            Ok(place) => place,
            Err(place) => {
                let mut values = Values::new(sources.iter().flatten().next()?.values.field_type());
                values.fill(before);
                let present = (before > 0).then(|| vec![false; before]);
                self.points.fields.insert(place, Field { number, present, values });
                place
            }
        };
        let field = &mut self.points.fields[place];
        for piece in &picked.pieces {
            if piece.older.is_empty() {
                let rows = piece.first..piece.first + piece.length;
                field.extend(sources[piece.source], rows)?;
                continue;
            }
            let writes = std::iter::once((piece.source, piece.first)).chain(piece.older.iter().copied());
            let latest =
                writes.filter_map(|(source, row)| Some((sources[source]?, row))).find(|(field, row)| field.has(*row));
            match latest {
                Some((source, row)) => field.extend(Some(source), row..row + 1)?,
                None => field.extend(None, 0..1)?,
            }
        }
        Some(())
    }

    pub(crate) fn finish(self) -> Points {
        let Self { mut points, series, .. } = self;
        (points.series_list, points.series) = list_series(&series);
        points
    }
}

fn empty_texts(count: usize) -> Texts {
    Texts { ends: vec![0; count + 1], bytes: Vec::new() }
}
