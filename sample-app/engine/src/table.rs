//! All commands of a version, found by name.

use crate::command::Command;
use crate::metrics::Meter;
use crate::store::Store;
use resp::Args;
use std::collections::HashSet;

/// The commands of one version. A name is looked for as a word, into which its letters are folded:
/// lookup takes one slot and one comparison, as at construction a multiplier is searched under which
/// no two names share a slot.
pub struct CommandTable<S: Store> {
    commands: Vec<Command<S>>,
    slots: Box<[Slot]>,
    multiplier: u64,
    shift: u32,
}

/// Where a command is, and its name as a word.
#[derive(Clone, Copy)]
struct Slot {
    word: u64,
    command: u16,
}

const EMPTY: Slot = Slot {
    word: 0,
    command: u16::MAX,
};

/// A name of so many letters is a word of its own, which no other name of its length has.
const WHOLE: usize = size_of::<u64>();

impl<S: Store> CommandTable<S> {
    /// A table of the commands in `lists`; of two of the same name the later one stands. So a
    /// version is its predecessor's lists and one of its own.
    ///
    /// # Panics
    /// If there are more than 65,534 commands, one whose name is not of small letters, or two whose names
    /// are one word.
    pub fn new(lists: impl IntoIterator<Item = Vec<Command<S>>>) -> Self {
        let mut commands: Vec<Command<S>> = Vec::new();
        for command in lists.into_iter().flatten() {
            let same = |old: &Command<S>| old.spec.name == command.spec.name;
            match commands.iter().position(same) {
                Some(at) => commands[at] = command,
                None => commands.push(command),
            }
        }
        assert!(
            commands.len() < usize::from(EMPTY.command),
            "too many commands"
        );
        let mut next = 0;
        for command in &mut commands {
            for one in std::iter::once(&mut command.meter)
                .chain(command.subcommands.iter_mut().map(|sub| &mut sub.meter))
            {
                *one = Meter(next);
                next += 1;
            }
        }
        let names: Vec<&str> = commands.iter().map(|command| command.spec.name).collect();
        let (slots, multiplier, shift) = perfect(&names);
        Self {
            commands,
            slots,
            multiplier,
            shift,
        }
    }

    /// The command of this name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Command<S>> {
        let word = folded(name);
        let slot = self.slots[place(word, self.multiplier, self.shift)];
        let command = self.commands.get(usize::from(slot.command))?;
        let own = command.spec.name;
        let is_it = slot.word == word
            && own.len() == name.len()
            && (own.len() <= WHOLE || own.as_bytes().eq_ignore_ascii_case(name));
        is_it.then_some(command)
    }

    /// The command or subcommand that a request names, whatever else it has.
    pub(crate) fn named(&self, args: Args<'_>) -> Option<&Command<S>> {
        let command = self.find(args.at(0))?;
        match args.get(1) {
            Some(name) if !command.subcommands.is_empty() => command.subcommand(name),
            _ => Some(command),
        }
    }

    /// The command or subcommand of this full name, as in `client|id`, in any case.
    pub fn find_full(&self, name: &[u8]) -> Option<&Command<S>> {
        match name.iter().position(|&byte| byte == b'|') {
            None => self.find(name),
            Some(at) => self.find(&name[..at])?.subcommand(&name[at + 1..]),
        }
    }

    /// Every command, containers without their subcommands.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Command<S>> {
        self.commands.iter()
    }
}

/// The first four letters of a name and the last four in lower case; of a shorter one all. Two bytes that
/// fold to one letter are that letter, large and small.
#[inline]
fn folded(name: &[u8]) -> u64 {
    let word = if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
    } else {
        let bytes = name.iter().map(|byte| u64::from(*byte));
        bytes.fold(0, |word, byte| word << 8 | byte)
    };
    word | 0x2020_2020_2020_2020
}

#[inline]
fn place(word: u64, multiplier: u64, shift: u32) -> usize {
    (word.wrapping_mul(multiplier) >> shift) as usize
}

fn perfect(names: &[&str]) -> (Box<[Slot]>, u64, u32) {
    let is_plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase());
    assert!(names.iter().all(is_plain), "a name not of small letters");
    let word_of = |name: &&str| folded(name.as_bytes());
    let words: Vec<u64> = names.iter().map(word_of).collect();
    let distinct: HashSet<&u64> = words.iter().collect();
    assert_eq!(distinct.len(), words.len(), "two names are one word");
    let mut bits = (names.len().max(1) * 8)
        .next_power_of_two()
        .trailing_zeros();
    let mut multiplier = 0x9e37_79b9_7f4a_7c15_u64;
    loop {
        let shift = 64 - bits;
        'candidates: for _ in 0..1_000 {
            multiplier = multiplier.wrapping_mul(0xd134_2543_de82_ef95) | 1;
            let mut slots = vec![EMPTY; 1 << bits].into_boxed_slice();
            for (command, word) in (0..).zip(words.iter().copied()) {
                let taken = &mut slots[place(word, multiplier, shift)];
                if taken.command != EMPTY.command {
                    continue 'candidates;
                }
                *taken = Slot { word, command };
            }
            return (slots, multiplier, shift);
        }
        bits += 1;
    }
}
