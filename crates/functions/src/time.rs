//! Time in SQL: calendars with time zones, patterns, conversions.
//!
//! Units are Dagger's: weeks in milliseconds, months and clock times in seconds, all since 1970 UTC.

mod calendar;
mod conversion;
mod pattern;
mod zone;

pub(crate) use calendar::CALENDAR_FUNCTIONS;
pub(crate) use conversion::CONVERSION_FUNCTIONS;
