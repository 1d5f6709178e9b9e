//! `dsu` under a name of its own: cargo builds a package's own executables for its tests, not those of
//! its dependencies.

fn main() -> std::process::ExitCode {
    dsu_runtime::main()
}
