//! INFO.

use std::fmt::{Display, Write as _};

use crate::call::{Call, Outcome};
use crate::metrics::CommandRow;
use crate::server::Facts;
use crate::store::{KeySet, Keyspace, Store, Totals};
use crate::walk::Doors;

const SECTIONS: [&str; 13] = [
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "commandstats",
    "errorstats",
    "latencystats",
    "cluster",
    "keyspace",
];

/// Sections that only those get who name them, or all.
const ON_REQUEST: [&str; 2] = ["commandstats", "latencystats"];

/// Keys are counted only if they are asked for; a lock that cannot be had leaves their line
/// out rather than the whole answer.
pub(crate) fn info<S: Store>(call: &mut Call<'_>, mut doors: Doors<'_, '_, S>) -> Outcome {
    let wanted: Vec<String> = call
        .args
        .from(1)
        .iter()
        .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
        .collect();
    let asks = |section: &str| wanted.iter().any(|name| name == section);
    let is_all = asks("all") || asks("everything");
    let is_default = wanted.is_empty() || asks("default");
    let has =
        |section: &str| is_all || is_default && !ON_REQUEST.contains(&section) || asks(section);
    let facts = call.server.facts();
    let mut text = Text::default();
    for section in SECTIONS.into_iter().filter(|section| has(section)) {
        text.heading(section);
        match section {
            "server" => server(&mut text, &facts, call.now.0),
            "clients" => clients(&mut text, &facts),
            "memory" => memory(&mut text, &facts),
            "persistence" => persistence(&mut text),
            "stats" => stats(&mut text, &facts),
            "replication" => replication(&mut text, &facts),
            "cpu" => cpu(&mut text, &facts),
            "commandstats" => commands(&mut text, &call.server.command_rows(call.metrics)),
            "errorstats" => errors(&mut text, &call.server.error_rows(call.metrics)),
            "latencystats" => latencies(&mut text, &call.server.command_rows(call.metrics)),
            "cluster" => text.field("cluster_enabled", 0),
            "keyspace" => {
                let totals = doors.with(KeySet::All, call.now, |tx| tx.totals());
                let totals = totals.unwrap_or_default();
                keyspace(&mut text, totals);
            }
            _ => {}
        }
    }
    for (name, fields) in &facts.extra {
        if has(&name.to_ascii_lowercase()) {
            text.heading(name);
            for (field, value) in fields {
                text.field(field, value);
            }
        }
    }
    call.reply.verbatim_text(text.0.as_bytes());
    Ok(())
}

#[derive(Default)]
struct Text(String);

impl Text {
    /// Sections are apart by an empty line, and named with a capital.
    fn heading(&mut self, section: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        self.0.push_str("# ");
        if section == "cpu" {
            self.0.push_str("CPU");
        } else {
            let (first, rest) = section.split_at(1);
            self.0.push_str(&first.to_ascii_uppercase());
            self.0.push_str(rest);
        }
        self.0.push_str("\r\n");
    }

    fn field(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    fn size(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(&format!("{name}_human"), human(bytes));
    }
}

/// A size as people read it, with two decimals.
fn human(bytes: u64) -> String {
    const UNITS: [(u64, char); 4] = [
        (1 << 40, 'T'),
        (1 << 30, 'G'),
        (1 << 20, 'M'),
        (1 << 10, 'K'),
    ];
    UNITS
        .into_iter()
        .find(|(unit, _)| bytes >= *unit)
        .map_or_else(
            || format!("{bytes}B"),
            |(unit, letter)| format!("{:.2}{letter}", bytes as f64 / unit as f64),
        )
}

fn server(text: &mut Text, facts: &Facts, now_ms: u64) {
    text.field("redis_version", &facts.redis_version);
    text.field("redis_git_sha1", "00000000");
    text.field("redis_git_dirty", 0);
    text.field("redis_build_id", &facts.build_id);
    text.field("redis_mode", "standalone");
    text.field("os", &facts.os);
    text.field("arch_bits", 64);
    text.field("multiplexing_api", "epoll");
    text.field("process_id", facts.process_id);
    text.field("process_supervised", "no");
    text.field("run_id", &facts.run_id);
    text.field("tcp_port", facts.tcp_port);
    text.field("server_time_usec", now_ms * 1000);
    text.field("uptime_in_seconds", facts.uptime_s);
    text.field("uptime_in_days", facts.uptime_s / 86_400);
    text.field("hz", 10);
    text.field("configured_hz", 10);
    text.field("lru_clock", (now_ms / 1000) & 0xff_ffff);
    text.field("executable", &facts.executable);
    text.field("config_file", "");
    text.field("io_threads_active", 0);
}

fn clients(text: &mut Text, facts: &Facts) {
    text.field("connected_clients", facts.connected_clients);
    text.field("cluster_connections", 0);
    text.field("maxclients", facts.max_clients);
    text.field("blocked_clients", 0);
    text.field("tracking_clients", 0);
    text.field("clients_in_timeout_table", 0);
}

fn memory(text: &mut Text, facts: &Facts) {
    text.size("used_memory", facts.used_memory);
    text.size("used_memory_rss", facts.used_memory_rss);
    text.size("used_memory_peak", facts.used_memory_peak);
    let share = 100.0 * facts.used_memory as f64 / facts.used_memory_peak.max(1) as f64;
    text.field("used_memory_peak_perc", format_args!("{share:.2}%"));
    text.size("total_system_memory", facts.total_system_memory);
    text.size("used_memory_lua", 0);
    text.size("used_memory_scripts", 0);
    text.field("number_of_cached_scripts", 0);
    text.field("number_of_functions", 0);
    text.field("number_of_libraries", 0);
    text.size("maxmemory", facts.max_memory);
    text.field("maxmemory_policy", "noeviction");
    let ratio = facts.used_memory_rss as f64 / facts.used_memory.max(1) as f64;
    text.field("mem_fragmentation_ratio", format_args!("{ratio:.2}"));
    text.field(
        "mem_fragmentation_bytes",
        facts.used_memory_rss as i64 - facts.used_memory as i64,
    );
    text.field("mem_not_counted_for_evict", 0);
    text.field("mem_replication_backlog", 0);
    text.field("mem_clients_slaves", 0);
    text.field("mem_aof_buffer", 0);
    text.field("mem_allocator", "shared-heap");
    text.field("active_defrag_running", 0);
    text.field("lazyfree_pending_objects", 0);
    text.field("lazyfreed_objects", 0);
}

fn persistence(text: &mut Text) {
    text.field("loading", 0);
    text.field("async_loading", 0);
    text.field("rdb_changes_since_last_save", 0);
    text.field("rdb_bgsave_in_progress", 0);
    text.field("rdb_last_save_time", 0);
    text.field("rdb_last_bgsave_status", "ok");
    text.field("rdb_last_bgsave_time_sec", -1);
    text.field("rdb_current_bgsave_time_sec", -1);
    text.field("rdb_saves", 0);
    text.field("rdb_last_cow_size", 0);
    text.field("aof_enabled", 0);
    text.field("aof_rewrite_in_progress", 0);
    text.field("aof_rewrite_scheduled", 0);
    text.field("aof_last_rewrite_time_sec", -1);
    text.field("aof_current_rewrite_time_sec", -1);
    text.field("aof_last_bgrewrite_status", "ok");
    text.field("aof_last_write_status", "ok");
    text.field("aof_last_cow_size", 0);
    text.field("module_fork_in_progress", 0);
}

fn stats(text: &mut Text, facts: &Facts) {
    let counters = facts.counters;
    text.field("total_connections_received", facts.total_connections);
    text.field("total_commands_processed", counters.commands);
    let rates = facts.rates;
    text.field(
        "instantaneous_ops_per_sec",
        format_args!("{:.0}", rates.commands),
    );
    text.field("total_net_input_bytes", facts.net_input_bytes);
    text.field("total_net_output_bytes", facts.net_output_bytes);
    text.field("total_net_repl_input_bytes", 0);
    text.field("total_net_repl_output_bytes", 0);
    let kib = |bytes: f64| format!("{:.2}", bytes / 1024.0);
    text.field("instantaneous_input_kbps", kib(rates.bytes_in));
    text.field("instantaneous_output_kbps", kib(rates.bytes_out));
    text.field("instantaneous_input_repl_kbps", "0.00");
    text.field("instantaneous_output_repl_kbps", "0.00");
    text.field("rejected_connections", facts.rejected_connections);
    text.field("sync_full", 0);
    text.field("sync_partial_ok", 0);
    text.field("sync_partial_err", 0);
    text.field("expired_keys", counters.expired);
    text.field("evicted_keys", 0);
    text.field("evicted_clients", 0);
    text.field("keyspace_hits", counters.hits);
    text.field("keyspace_misses", counters.misses);
    text.field("pubsub_channels", 0);
    text.field("pubsub_patterns", 0);
    text.field("pubsubshard_channels", 0);
    text.field("latest_fork_usec", 0);
    text.field("total_forks", 0);
    text.field("migrate_cached_sockets", 0);
    text.field("slave_expires_tracked_keys", 0);
    text.field("active_defrag_hits", 0);
    text.field("active_defrag_misses", 0);
    text.field("active_defrag_key_hits", 0);
    text.field("active_defrag_key_misses", 0);
    text.field("tracking_total_keys", 0);
    text.field("tracking_total_items", 0);
    text.field("tracking_total_prefixes", 0);
    text.field("unexpected_error_replies", 0);
    text.field("total_error_replies", counters.errors);
}

/// Commands that were never called have no line.
fn commands(text: &mut Text, rows: &[CommandRow]) {
    for row in rows {
        let each = row.usec as f64 / row.calls.max(1) as f64;
        text.field(
            &format!("cmdstat_{}", row.name),
            format_args!(
                "calls={},usec={},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
                row.calls, row.usec, row.rejected, row.failed
            ),
        );
    }
}

fn errors(text: &mut Text, rows: &[(String, u64)]) {
    for (word, count) in rows {
        text.field(&format!("errorstat_{word}"), format_args!("count={count}"));
    }
}

fn latencies(text: &mut Text, rows: &[CommandRow]) {
    for row in rows {
        if let Some(percentiles) = row.percentiles {
            let [half, most, nearly_all] = percentiles.map(|ns| ns as f64 / 1000.0);
            text.field(
                &format!("latency_percentiles_usec_{}", row.name),
                format_args!("p50={half:.3},p99={most:.3},p99.9={nearly_all:.3}"),
            );
        }
    }
}

fn replication(text: &mut Text, facts: &Facts) {
    text.field("role", "master");
    text.field("connected_slaves", 0);
    text.field("master_failover_state", "no-failover");
    text.field("master_replid", &facts.run_id);
    text.field("master_replid2", "0".repeat(40));
    text.field("master_repl_offset", 0);
    text.field("second_repl_offset", -1);
    text.field("repl_backlog_active", 0);
    text.field("repl_backlog_size", 1 << 20);
    text.field("repl_backlog_first_byte_offset", 0);
    text.field("repl_backlog_histlen", 0);
}

fn cpu(text: &mut Text, facts: &Facts) {
    text.field("used_cpu_sys", format_args!("{:.6}", facts.cpu_system_s));
    text.field("used_cpu_user", format_args!("{:.6}", facts.cpu_user_s));
    text.field("used_cpu_sys_children", "0.000000");
    text.field("used_cpu_user_children", "0.000000");
}

fn keyspace(text: &mut Text, totals: Totals) {
    if totals.keys > 0 {
        let Totals { keys, expires } = totals;
        text.field(
            "db0",
            format_args!("keys={keys},expires={expires},avg_ttl=0"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_in_redis() {
        assert_eq!(human(12), "12B");
        assert_eq!(human(959_776), "937.28K");
        assert_eq!(human(25_276_510_208), "23.54G");
    }
}
