//! A kept corpus and a bounded number of mutations of it, the same on every run.

use std::path::Path;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus is part of the package")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| std::fs::read(path).expect("readable"))
        .collect()
}

/// xorshift64*: chance that is the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    const TELLING: &[u8] = b"*$\r\n0123456789-+\"'\\xeEpP. \0\xff[]^?";
    let at = dice.below(bytes.len() + 1);
    match dice.below(6) {
        0 if at < bytes.len() => bytes[at] = TELLING[dice.below(TELLING.len())],
        1 => bytes.insert(at, TELLING[dice.below(TELLING.len())]),
        2 => bytes.truncate(at),
        3 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        4 => {
            let end = at + dice.below(bytes.len() - at + 1).min(16);
            bytes.drain(at..end);
        }
        _ => {
            let from = dice.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

#[test]
fn every_file_of_the_corpus_is_handled() {
    let corpus = corpus();
    assert!(corpus.len() >= 8, "the corpus is there");
    for bytes in &corpus {
        resp::fuzz::exercise(bytes);
    }
}

#[test]
fn mutations_of_the_corpus_are_handled() {
    let corpus = corpus();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let rounds: usize = std::env::var("RESP_MUTATIONS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(20_000);
    for _ in 0..rounds {
        let mut bytes = corpus[dice.below(corpus.len())].clone();
        for _ in 0..=dice.below(4) {
            let other = &corpus[dice.below(corpus.len())];
            mutate(&mut bytes, other, &mut dice);
        }
        bytes.truncate(4096);
        resp::fuzz::exercise(&bytes);
    }
}
