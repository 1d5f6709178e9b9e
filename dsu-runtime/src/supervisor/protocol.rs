//! The control socket's language: a request is one line of JSON, an answer any number of lines of
//! progress and one verdict.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Longest line in bytes that either side takes.
pub const LINE_LIMIT: usize = 1 << 20;

/// How workers are to cross.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Whatever the comparison advises.
    #[default]
    Auto,
    /// Each at its own next update point.
    Rolling,
    /// All together.
    Barrier,
}

/// What a failure does (R28).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FailurePolicy {
    /// Go back.
    #[default]
    Rollback,
    /// Stand still until the operator decides.
    Pause,
}

/// An update as the operator asks for it. Durations are seconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)] // the flags of `dsu update`
pub struct UpdateRequest {
    pub path: PathBuf,
    pub mode: Mode,
    pub canary: Option<u32>,
    pub probation: Option<f64>,
    pub timeout: Option<f64>,
    pub on_failure: FailurePolicy,
    /// `None`: as the running version.
    pub listen: Option<Vec<String>>,
    /// `None`: as the running version.
    pub arguments: Option<Vec<String>>,
    /// Drop what the new version has no form for (R13).
    pub discard_parked: bool,
    /// Answer at the end rather than when workers are about to cross.
    pub wait: bool,
}

/// One request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
#[allow(missing_docs)] // the verbs of `dsu`
pub enum Request {
    Update(UpdateRequest),
    Rollback { wait: bool },
    Pause,
    Resume,
    Status { check: bool },
    Blocking,
}

/// The first word of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the words say it
pub enum Verdict {
    Accepted,
    Refused,
    RolledBack,
}

impl Verdict {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Refused => "refused",
            Verdict::RolledBack => "rolled-back",
        }
    }

    /// What `dsu` exits with.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Accepted => 0,
            Verdict::Refused => 1,
            Verdict::RolledBack => 2,
        }
    }
}

/// One line of an answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// What is going on; more follows.
    Progress(String),
    /// The last line.
    Answer {
        /// What became of it.
        verdict: Verdict,
        /// For people: one sentence.
        text: String,
        /// For programs, and for tables.
        data: serde_json::Value,
    },
}

impl Reply {
    /// An answer without data.
    pub fn answer(verdict: Verdict, text: impl Into<String>) -> Reply {
        Reply::Answer {
            verdict,
            text: text.into(),
            data: serde_json::Value::Null,
        }
    }

    /// A granted question.
    pub fn data(text: impl Into<String>, data: serde_json::Value) -> Reply {
        Reply::Answer {
            verdict: Verdict::Accepted,
            text: text.into(),
            data,
        }
    }

    /// As it goes over the socket.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_else(|error| {
            format!("{{\"answer\":{{\"verdict\":\"refused\",\"text\":\"{error}\",\"data\":null}}}}")
        });
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_survive_the_wire() {
        let update = UpdateRequest {
            path: "/a.so".into(),
            canary: Some(2),
            wait: true,
            ..Default::default()
        };
        for request in [
            Request::Update(update),
            Request::Rollback { wait: false },
            Request::Status { check: true },
            Request::Pause,
        ] {
            let line = serde_json::to_string(&request).expect("json");
            assert_eq!(
                serde_json::from_str::<Request>(&line).expect("read"),
                request
            );
        }
        let reply = Reply::answer(Verdict::RolledBack, "two\nlines");
        let line = reply.line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(serde_json::from_str::<Reply>(&line).expect("read"), reply);
    }

    #[test]
    fn an_update_takes_defaults_and_no_misspelt_flags() {
        let short = serde_json::from_str::<Request>(r#"{"verb":"update","path":"/a.so"}"#);
        let Ok(Request::Update(update)) = short else {
            panic!("{short:?}")
        };
        assert_eq!(
            (update.mode, update.on_failure, update.wait),
            (Mode::Auto, FailurePolicy::Rollback, false)
        );
        assert!(serde_json::from_str::<UpdateRequest>(r#"{"path":"/a.so","cannary":1}"#).is_err());
    }
}
