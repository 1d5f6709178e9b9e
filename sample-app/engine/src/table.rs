//! All commands of a version, found by name.

use crate::command::Command;
use crate::metrics::Meter;
use crate::store::Store;
use resp::Args;

/// The commands of one version. Lookup takes one hash of the name's bytes, one slot and one
/// comparison: at construction a multiplier is searched under which no two names share a
/// slot.
pub struct CommandTable<S: Store> {
    commands: Vec<Command<S>>,
    slots: Box<[u16]>,
    multiplier: u64,
    shift: u32,
}

const EMPTY: u16 = u16::MAX;

impl<S: Store> CommandTable<S> {
    /// A table of the commands in `lists`; of two of the same name the later one stands. So a
    /// version is its predecessor's lists and one of its own.
    ///
    /// # Panics
    /// If there are more than 65,534 commands.
    pub fn new(lists: impl IntoIterator<Item = Vec<Command<S>>>) -> Self {
        let mut commands: Vec<Command<S>> = Vec::new();
        for command in lists.into_iter().flatten() {
            let same = |old: &Command<S>| old.spec.name == command.spec.name;
            match commands.iter().position(same) {
                Some(at) => commands[at] = command,
                None => commands.push(command),
            }
        }
        assert!(commands.len() < usize::from(EMPTY), "too many commands");
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
        let slot = slot(name, self.multiplier, self.shift);
        let command = self.commands.get(usize::from(self.slots[slot]))?;
        command
            .spec
            .name
            .as_bytes()
            .eq_ignore_ascii_case(name)
            .then_some(command)
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

#[inline]
fn slot(name: &[u8], multiplier: u64, shift: u32) -> usize {
    let mut hash = name.len() as u64;
    for &byte in name {
        hash = (hash ^ u64::from(byte | 0x20)).wrapping_mul(multiplier);
    }
    (hash >> shift) as usize
}

fn perfect(names: &[&str]) -> (Box<[u16]>, u64, u32) {
    let mut bits = (names.len().max(1) * 8)
        .next_power_of_two()
        .trailing_zeros();
    let mut multiplier = 0x9e37_79b9_7f4a_7c15_u64;
    loop {
        let shift = 64 - bits;
        'candidates: for _ in 0..1_000 {
            multiplier = multiplier.wrapping_mul(0xd134_2543_de82_ef95) | 1;
            let mut slots = vec![EMPTY; 1 << bits].into_boxed_slice();
            for (at, name) in names.iter().enumerate() {
                let taken = &mut slots[slot(name.as_bytes(), multiplier, shift)];
                if *taken != EMPTY {
                    continue 'candidates;
                }
                *taken = at as u16;
            }
            return (slots, multiplier, shift);
        }
        bits += 1;
    }
}
