//! The store of dead letters as its users see it: through its public interface, on a real disk.

mod courier;
mod crash;
mod dead_letters;
