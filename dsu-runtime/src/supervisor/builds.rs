//! The table of builds: what each admitted library is, and with which arguments and listeners it runs.

use super::ports::Candidate;
use crate::update::BuildIndex;
use crate::version::{Binding, Manifest, digest};
use crate::worker::Build;

/// A library as this server knows it.
#[derive(Clone, Debug)]
pub struct KnownBuild {
    /// What workers are sent.
    pub build: Build,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Builds are only added; an index stays good for the life of the server.
#[derive(Default)]
pub struct Builds(Vec<KnownBuild>);

impl Builds {
    /// Adds a build. The same file with the same arguments and listeners keeps its index.
    pub fn add(
        &mut self,
        candidate: &Candidate,
        binding: Binding,
        arguments: Vec<String>,
        listeners: Vec<String>,
    ) -> BuildIndex {
        let build = Build {
            digest: candidate.digest.clone(),
            path: candidate.copy.clone(),
            version: candidate.manifest.version,
            build_id: candidate.manifest.build_id.clone(),
            carry_digest: digest(&candidate.manifest.carry.schema),
            binding,
            arguments,
            listeners,
        };
        let same = self.0.iter().position(|known| known.build == build);
        let index = same.unwrap_or_else(|| {
            self.0.push(KnownBuild {
                build,
                manifest: candidate.manifest.clone(),
            });
            self.0.len() - 1
        });
        BuildIndex(index as u32)
    }

    /// Replaces what the build at `index` is told of its neighbours.
    pub fn bind_again(&mut self, index: BuildIndex, binding: Binding) {
        self.0[index.0 as usize].build.binding = binding;
    }

    /// The build at `index`.
    pub fn get(&self, index: BuildIndex) -> &KnownBuild {
        // Indices come from `add` alone, and nothing is ever removed.
        &self.0[index.0 as usize]
    }

    /// Of these two, the one with this digest.
    pub fn by_digest(&self, digest: &str, among: [Option<BuildIndex>; 2]) -> Option<BuildIndex> {
        among
            .into_iter()
            .flatten()
            .find(|index| self.get(*index).build.digest == digest)
    }
}
