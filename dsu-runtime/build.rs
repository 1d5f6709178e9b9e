//! Tells the crate which compiler builds it; the text is part of every version's header (R34).

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("the compiler that builds this crate answers --version");
    let text = String::from_utf8_lossy(&version.stdout);
    println!("cargo::rustc-env=DSU_RUSTC={}", text.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
