//! The operator command.

fn main() -> std::process::ExitCode {
    dsu_runtime::main()
}
