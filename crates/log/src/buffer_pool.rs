//! Buffers of slabs that come back when the last slice of them is gone: no fresh pages from the system per read.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Memory that waits for its next use, at the most.
const POOLED_BYTES_MAX: usize = 16 << 20;
/// Smaller buffers are left to the allocator.
const POOLED_BUFFER_BYTES_MIN: usize = 64 << 10;

/// Buffers that wait for their next use. Clones share them.
#[derive(Clone, Default)]
pub struct BufferPool {
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A buffer of initialised bytes, which goes back when it is dropped.
#[derive(Default)]
pub struct ReadBuffer {
    pub bytes: Vec<u8>,
    pool: BufferPool,
}

impl BufferPool {
    /// A buffer of `length` bytes with any content.
    pub fn take(&self, length: usize) -> ReadBuffer {
        let mut bytes = if length < POOLED_BUFFER_BYTES_MIN { None } else { self.take_idle(length) }
            .unwrap_or_else(|| vec![0; length]);
        bytes.truncate(length);
        ReadBuffer { bytes, pool: self.clone() }
    }

    /// A buffer without content that has room for `capacity` bytes.
    pub fn take_empty(&self, capacity: usize) -> ReadBuffer {
        let mut buffer = self.take(capacity);
        buffer.bytes.clear();
        buffer
    }

    /// The smallest that fits, unless even that is far too great.
    fn take_idle(&self, length: usize) -> Option<Vec<u8>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<u8>| (length..=length.saturating_mul(4)).contains(&buffer.capacity());
        let (place, _) =
            idle.iter().enumerate().filter(|(_, buffer)| fits(buffer)).min_by_key(|(_, buffer)| buffer.capacity())?;
        let mut buffer = idle.swap_remove(place);
        buffer.resize(length.max(buffer.len()), 0);
        Some(buffer)
    }

    fn give_back(&self, buffer: Vec<u8>) {
        if buffer.capacity() < POOLED_BUFFER_BYTES_MIN {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let held: usize = idle.iter().map(Vec::capacity).sum();
        if held + buffer.capacity() <= POOLED_BYTES_MAX {
            idle.push(buffer);
        }
    }
}

impl ReadBuffer {
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_is_gone() {
        let pool = BufferPool::default();
        let buffer = pool.take(1 << 20);
        let place = buffer.bytes.as_ptr();
        let bytes = buffer.into_bytes();
        let slice = bytes.slice(5..10);
        drop(bytes);
        assert_ne!(pool.take(1 << 20).bytes.as_ptr(), place);
        drop(slice);
        let places: Vec<_> = (0..2).map(|_| pool.take(900 << 10)).map(|b| b.bytes.as_ptr()).collect();
        assert!(places.contains(&place));
        assert_eq!(pool.take(1 << 20).bytes.len(), 1 << 20);
    }

    #[test]
    fn idle_memory_is_bounded() {
        let pool = BufferPool::default();
        let taken: Vec<_> = (0..40).map(|_| pool.take(1 << 20)).collect();
        drop(taken);
        assert_eq!(pool.idle.lock().unwrap().len(), POOLED_BYTES_MAX >> 20);
        assert!(pool.take_idle(100 << 10).is_none(), "a great buffer is not spent on a small read");
    }
}
