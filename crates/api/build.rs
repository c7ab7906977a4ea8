//! The portal's files go into the binary; when they change, it is built anew.

fn main() {
    println!("cargo::rerun-if-changed=../../web/dist");
}
