//! The threads of a worker process: the runtime's own, and those that an application should not have
//! when it crosses (R26).

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{DirEntry, read_dir, read_to_string};

/// Threads of this process, by id.
pub(super) struct Threads(HashSet<OsString>);

fn tasks() -> impl Iterator<Item = DirEntry> {
    read_dir("/proc/self/task").into_iter().flatten().flatten()
}

impl Threads {
    /// Those that run now.
    pub(super) fn now() -> Threads {
        Threads(tasks().map(|task| task.file_name()).collect())
    }

    /// Names of those that run beside these.
    pub(super) fn others(&self) -> Vec<String> {
        tasks()
            .filter(|task| !self.0.contains(&task.file_name()))
            // One that ends meanwhile has no name any more, and is none.
            .filter_map(|task| read_to_string(task.path().join("comm")).ok())
            .map(|name| name.trim_end().to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    // R26
    #[test]
    fn a_thread_that_began_later_is_named_while_it_runs() {
        let before = Threads::now();
        let ((started, is_started), (end, ended)) = (channel(), channel::<()>());
        let thread = std::thread::Builder::new().name("lingering".to_owned());
        let lingering = thread
            .spawn(move || {
                started.send(()).expect("awaited");
                let _ = ended.recv();
            })
            .expect("a thread");
        is_started.recv().expect("started");
        let during = Threads::now();
        assert!(before.others().contains(&"lingering".to_owned()));
        assert!(!during.others().contains(&"lingering".to_owned()));
        end.send(()).expect("it runs");
        lingering.join().expect("no panic");
    }
}
