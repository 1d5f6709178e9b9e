//! The table of builds: what each admitted library is, and with which arguments and listeners it runs.

use super::ports::Candidate;
use crate::update::BuildIndex;
use crate::version::{Binding, Manifest, digest};
use crate::worker::Build;
use std::path::PathBuf;

/// A library as this server knows it.
#[derive(Clone, Debug)]
pub struct KnownBuild {
    /// What workers are sent. Its digest is that of the file, with a number behind it where the same
    /// file is known with other arguments or listeners already: workers tell builds apart by it.
    pub build: Build,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Digest of the file.
    pub file: String,
}

/// Builds are only added; an index stays good for the life of the server.
#[derive(Default)]
pub struct Builds(Vec<KnownBuild>);

impl Builds {
    /// Number of builds.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &KnownBuild> {
        self.0.iter()
    }

    /// All of them, by their indices.
    pub fn indexed(&self) -> impl Iterator<Item = (BuildIndex, &KnownBuild)> {
        (0..).map(BuildIndex).zip(&self.0)
    }

    fn find(&self, file: &str, arguments: &[String], listeners: &[String]) -> Option<usize> {
        self.0.iter().position(|known| {
            known.file == file
                && known.build.arguments == arguments
                && known.build.listeners == listeners
        })
    }

    /// Whether the file is known, but with other arguments or listeners only: then workers need a
    /// copy of it under another name, for the loader gives one image a file (R33).
    pub fn is_taken(&self, file: &str, arguments: &[String], listeners: &[String]) -> bool {
        self.find(file, arguments, listeners).is_none()
            && self.0.iter().any(|known| known.file == file)
    }

    /// Adds a build that is loaded from `path`. The same file with the same arguments and listeners
    /// keeps its index and its path.
    pub fn add(
        &mut self,
        candidate: Candidate,
        path: PathBuf,
        binding: Binding,
        arguments: Vec<String>,
        listeners: Vec<String>,
    ) -> BuildIndex {
        let index = match self.find(&candidate.digest, &arguments, &listeners) {
            Some(index) => {
                self.0[index].build.binding = binding;
                index
            }
            None => {
                let number = self.0.len();
                let digest_of_build = match self.is_taken(&candidate.digest, &arguments, &listeners)
                {
                    false => candidate.digest.clone(),
                    true => format!("{}.{number}", candidate.digest),
                };
                let build = Build {
                    digest: digest_of_build,
                    path,
                    version: candidate.manifest.version,
                    build_id: candidate.manifest.build_id.clone(),
                    carry_digest: digest(&candidate.manifest.carry.schema),
                    binding,
                    arguments,
                    listeners,
                };
                self.0.push(KnownBuild {
                    build,
                    manifest: candidate.manifest,
                    file: candidate.digest,
                });
                number
            }
        };
        BuildIndex(index as u32)
    }

    /// Gives a build another binding; whether it is another.
    pub fn rebind(&mut self, index: BuildIndex, binding: Binding) -> bool {
        let known = &mut self.0[index.0 as usize].build.binding;
        let is_new = *known != binding;
        *known = binding;
        is_new
    }

    /// The build at `index`.
    pub fn get(&self, index: BuildIndex) -> &KnownBuild {
        // Indices come from `add` alone, and nothing is ever removed.
        &self.0[index.0 as usize]
    }

    /// The one with this digest, if there is one.
    pub fn of_digest(&self, digest: &str) -> Option<BuildIndex> {
        let mut all = self.indexed();
        let found = all.find(|(_, known)| known.build.digest == digest);
        found.map(|(index, _)| index)
    }

    /// Of these two, the one with this digest.
    pub fn by_digest(&self, digest: &str, among: [Option<BuildIndex>; 2]) -> Option<BuildIndex> {
        among
            .into_iter()
            .flatten()
            .find(|index| self.get(*index).build.digest == digest)
    }
}

#[cfg(test)]
impl Builds {
    /// Builds of libraries that are not there, each admitted while the one before it runs.
    pub(super) fn of_test(manifests: Vec<Manifest>) -> Builds {
        let mut registry = crate::version::Registry::new(0..100);
        let mut builds = Builds::default();
        let mut running = None;
        for (number, manifest) in manifests.into_iter().enumerate() {
            let version = manifest.version;
            let binding = registry.admit(&manifest, running).expect("it fits");
            let candidate = Candidate {
                digest: number.to_string(),
                copy: PathBuf::new(),
                statics: crate::version::Statics::of(Ok(Vec::new()), &manifest.statics),
                manifest,
            };
            builds.add(candidate, PathBuf::new(), binding, Vec::new(), Vec::new());
            running = Some(version);
        }
        builds
    }
}
