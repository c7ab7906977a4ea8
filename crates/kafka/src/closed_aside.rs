//! Closing clients where nobody waits for it.

use std::mem::ManuallyDrop;
use std::ops::Deref;

/// A client that is closed by a thread of its own once it is dropped. Closing waits for the client's threads, and a consumer's
/// for answers of its group's coordinator as well, which takes minutes when it is down or refuses the login; whoever runs
/// on an async thread would stop it for as long.
pub(crate) struct ClosedAside<C: Send + 'static>(ManuallyDrop<C>);

impl<C: Send + 'static> ClosedAside<C> {
    pub(crate) fn new(client: C) -> Self {
        Self(ManuallyDrop::new(client))
    }
}

impl<C: Send + 'static> Deref for ClosedAside<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C: Send + 'static> Drop for ClosedAside<C> {
    fn drop(&mut self) {
        // Sound: nothing uses it after this.
        let client = unsafe { ManuallyDrop::take(&mut self.0) };
        let thread = std::thread::Builder::new().name("kafka-close".to_owned());
        // Without a thread, `client` is closed here.
        if let Err(error) = thread.spawn(move || drop(client)) {
            tracing::warn!(%error, "no thread for closing a client of Kafka");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    struct Slow(mpsc::Receiver<()>, mpsc::Sender<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.recv();
            let _ = self.1.send(());
        }
    }

    #[test]
    fn dropping_does_not_wait() {
        let ((go, goes), (done, is_done)) = (mpsc::channel(), mpsc::channel());
        drop(ClosedAside::new(Slow(goes, done)));
        assert!(is_done.try_recv().is_err());
        go.send(()).unwrap();
        is_done.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
