//! What a statement may still read and hold.

use std::cell::Cell;

use crate::{QueryError, QueryLimits};

/// Counts down while a statement runs.
pub struct Budget {
    limits: QueryLimits,
    points: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    pub fn new(limits: &QueryLimits) -> Self {
        Self { limits: limits.clone(), points: Cell::new(0), bytes: Cell::new(0) }
    }

    pub fn limits(&self) -> &QueryLimits {
        &self.limits
    }

    /// Points that have been read.
    pub fn read(&self, points: usize) -> Result<(), QueryError> {
        self.points.set(self.points.get() + points);
        let (found, max) = (self.points.get(), self.limits.select_points_max);
        if max > 0 && found > max {
            return Err(QueryError::new(format!("max-select-point limit exceeed: ({found}/{max})")));
        }
        Ok(())
    }

    /// Bytes that are held until the statement is answered.
    pub fn hold(&self, bytes: usize) -> Result<(), QueryError> {
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        let (found, max) = (self.bytes.get(), self.limits.memory_bytes_max);
        if max > 0 && found > max {
            return Err(QueryError::new(format!(
                "the query would hold more than {max} bytes; ask for less time, fewer series or longer intervals"
            )));
        }
        Ok(())
    }

    pub fn series(&self, found: usize) -> Result<(), QueryError> {
        let max = self.limits.select_series_max;
        if max > 0 && found > max {
            return Err(QueryError::new(format!("max-select-series limit exceeded: ({found}/{max})")));
        }
        Ok(())
    }
}
