//! What a version must say.
use dsu_runtime::prelude::*;

mod first {
    use super::*;
    dsu::version! { app: "", version: 0, form: 1 }
}

mod second {
    use super::*;
    dsu::version! { app: "kv", app: "kv", version: 2, from: 2 }
}

mod third {
    use super::*;
    dsu::version! {}
}

mod fourth {
    use super::*;
    dsu::version! { app: "kv", version: 1, crates: "kv_engine" }
}

mod fifth {
    use super::*;
    dsu::version! { app: "kv", version: 1, crates: [kv_motor] }
}

fn main() {}
