//! Values for the tests of this stage and those after it.

use crate::effects::EffectRow;
use argus_schemas::manifest::{ClockPair, Coverage, End, Host, Manifest, SpanLineCounts};
use argus_schemas::report::{Effect, Expectation, Facet, Report, Signature};
use argus_schemas::spans::Span;
use argus_schemas::verdicts::{Basis, Verdict};
use std::collections::BTreeMap;

/// An effect at instant 1,500 with event 7.
pub fn effect(facet: Facet, object: &str, outcome: &str) -> Effect {
    Effect {
        facet,
        object: object.to_owned(),
        outcome: outcome.to_owned(),
        detail: None,
        names: Vec::new(),
        count: 1,
        bytes_out: None,
        bytes_in: None,
        first_ns: 1_500,
        last_ns: 1_500,
        late: false,
        basis: Some(Basis::Lineage),
        event_ids: vec![7],
        expectation: Expectation::Undeclared,
        from_kernel: true,
        changed_to: None,
        led_to: None,
    }
}

/// The same, owned by `owner`.
pub fn row(owner: &str, facet: Facet, object: &str) -> EffectRow {
    EffectRow {
        owner: Some(owner.to_owned()),
        verdict: Verdict::Attributed,
        candidates: Vec::new(),
        reason: None,
        effect: effect(facet, object, "ok"),
    }
}

/// A tool call from `start` to `start + 1,000`.
pub fn span(id: &str, name: &str, start: u64, args: &str, declares: Option<&str>) -> Span {
    Span {
        span_id: id.to_owned(),
        kind: "tool".to_owned(),
        name: name.to_owned(),
        start_boot_ns: start,
        end_boot_ns: Some(start + 1_000),
        status: Some("ok".to_owned()),
        args: Some(args.to_owned()),
        declares: declares.map(str::to_owned),
        source: "socket".to_owned(),
        ..Span::default()
    }
}

/// A clean capture that saw everything.
pub fn manifest() -> Manifest {
    Manifest {
        format_version: 1,
        writer: "test".to_owned(),
        host: Host::default(),
        command: vec!["agent".to_owned()],
        uid: 1000,
        mode: "run".to_owned(),
        span_socket: None,
        otlp_address: None,
        recorder_pid: Some(99),
        recorder_cgroup: None,
        recorder_program: None,
        case_path: Some("/cases/x.argus".to_owned()),
        root: None,
        clock_pairs: vec![ClockPair { boot_ns: 0, real_ns: 1 }],
        probes: Vec::new(),
        coverage: Coverage {
            kinds: argus_schemas::events::Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect(),
            uncovered: Vec::new(),
        },
        losses: Vec::new(),
        span_lines: SpanLineCounts::default(),
        incomplete: BTreeMap::new(),
        disturbances: Vec::new(),
        signed_by: None,
        files: Vec::new(),
        end: Some(End {
            clean: true,
            went_on: false,
            reason: "the command ended".to_owned(),
            exit_code: Some(0),
            boot_ns: 9_000,
        }),
    }
}

/// The report on these spans and effects.
pub fn report(manifest: &Manifest, spans: &[Span], effects: &[EffectRow]) -> Report {
    super::judge(super::Evidence {
        name: "case",
        manifest,
        manifest_sha256: "",
        signature: &Signature::None,
        spans,
        refused: &[],
        unreadable: &[],
        effects,
        rings: &[],
        owned: &BTreeMap::new(),
        links: Vec::new(),
        verdict_counts: Vec::new(),
        findings: Vec::new(),
        event_count: effects.len() as u64,
        last_event_ns: None,
        process_count: 1,
    })
}
