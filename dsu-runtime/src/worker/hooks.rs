//! What every version installs when it is bound: a panic hook and a tracing subscriber, both of which
//! hand on to the host. Each library has its own copy of std's and tracing's statics, so the host's
//! own hooks never see what happens in a version.
#![allow(unsafe_code)] // calls through the host's table

use crate::abi::{ReportKind, WorkerContext};
use crate::ids::VersionId;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::fmt;
use std::panic::PanicHookInfo;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Hands a report to the host, if this thread is a worker's.
pub(crate) fn report(kind: ReportKind, content: &Value) {
    let context = WorkerContext::current();
    if !context.is_attached() || context.host.get().is_null() {
        return;
    }
    let text = content.to_string();
    // SAFETY: the host set its table before it loaded any library, and never frees it; the text is
    // lent for the call.
    unsafe {
        let host = &*context.host.get();
        (host.report)(kind, text.as_ptr(), text.len());
    }
}

/// Installs both hooks, once a library.
pub(super) fn install(version: VersionId) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(move |info| report_panic(version, info)));
        // A dispatch cloned from the host's would log nothing: callsites register with this copy.
        let forwarder = Dispatch::new(Forwarder {
            version,
            next_span: AtomicU64::new(1),
        });
        if tracing::dispatcher::set_global_default(forwarder).is_ok() {
            tracing::callsite::rebuild_interest_cache();
        }
    });
}

fn report_panic(version: VersionId, info: &PanicHookInfo<'_>) {
    report(
        ReportKind::Panic,
        &json!({
            "version": version,
            "message": crate::error::panic_text(info.payload()),
            "place": info.location().map(ToString::to_string),
        }),
    );
}

/// A subscriber that keeps nothing and hands every event to the host.
struct Forwarder {
    version: VersionId,
    next_span: AtomicU64,
}

thread_local! {
    /// True while an event is on its way: what the way itself logs is dropped.
    static FORWARDING: Cell<bool> = const { Cell::new(false) };
}

impl Subscriber for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.next_span.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if FORWARDING.replace(true) {
            return;
        }
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        report(
            ReportKind::Log,
            &json!({
                "version": self.version,
                "level": event.metadata().level().as_str(),
                "target": event.metadata().target(),
                "fields": fields.0,
            }),
        );
        FORWARDING.set(false);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Fields as JSON.
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .insert(field.name().to_owned(), json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
}
