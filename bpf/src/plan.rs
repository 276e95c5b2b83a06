//! Which programs are loaded on a kernel, and what stays uncovered: a pure function of what the kernel has.

use argus_schemas::events::Kind;
use argus_schemas::manifest::{Coverage, IO_URING_UNSEEN, Probe, Uncovered};

/// A program that a kernel may or may not be able to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its function in the object.
    pub name: &'static str,
    /// What it is attached to.
    pub hook: &'static str,
    /// `syscalls`: what every supported kernel allows.
    pub plan: &'static str,
    /// The type in the kernel's BTF without which it cannot be attached.
    pub needs: Option<&'static str>,
}

const fn tracepoint(name: &'static str, hook: &'static str) -> Program {
    Program { name, hook, plan: "syscalls", needs: None }
}

/// All of them. Those without `needs` are loaded on every kernel, or none is.
pub(crate) const PROGRAMS: [Program; 10] = [
    tracepoint("on_fork", "tp_btf/sched_process_fork"),
    tracepoint("on_exec", "tp_btf/sched_process_exec"),
    tracepoint("on_exit", "tp_btf/sched_process_exit"),
    tracepoint("on_sys_enter", "tp_btf/sys_enter"),
    tracepoint("on_sys_exit", "tp_btf/sys_exit"),
    tracepoint("on_signal", "tp_btf/signal_generate"),
    tracepoint("on_tcp_state", "tp_btf/inet_sock_set_state"),
    Program {
        needs: Some("btf_trace_io_uring_submit_req"),
        ..tracepoint("on_uring_request", "tp_btf/io_uring_submit_req")
    },
    Program {
        needs: Some("btf_trace_io_uring_submit_sqe"),
        ..tracepoint("on_uring_entry", "tp_btf/io_uring_submit_sqe")
    },
    Program { needs: Some("io_cmd_data"), ..tracepoint("on_uring_result", "tp_btf/io_uring_complete") },
];

/// What is loaded on a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The optional programs that are to be loaded.
    pub optional: Vec<&'static str>,
    /// Every program and what becomes of it.
    pub probes: Vec<Probe>,
    /// What can and cannot be seen.
    pub coverage: Coverage,
}

fn uncovered(what: &str, facets: &[&str], reason: &str) -> Uncovered {
    Uncovered {
        what: what.to_owned(),
        facets: facets.iter().map(|facet| (*facet).to_owned()).collect(),
        reason: reason.to_owned(),
    }
}

/// Chooses. `has`: whether the kernel's BTF has a type of this name.
pub(crate) fn choose(has: &dyn Fn(&str) -> bool) -> Plan {
    // Before Linux 6.0 a request's fields lie elsewhere.
    let requests = has("io_cmd_data");
    let uring = requests && (has("btf_trace_io_uring_submit_req") || has("btf_trace_io_uring_submit_sqe"));
    let mut optional = Vec::new();
    let mut probes = Vec::new();
    for program in PROGRAMS {
        let reason = match program.needs {
            Some(needed) if !has(needed) => Some(format!("this kernel has no {needed}")),
            Some(_) if !uring => {
                Some("this kernel is older than 6.0, and lays io_uring requests out otherwise".to_owned())
            }
            _ => None,
        };
        // Of the two tracepoints of a request's submission, a kernel has one: the other is nothing to tell of.
        if reason.is_some() && uring {
            continue;
        }
        if program.needs.is_some() && reason.is_none() {
            optional.push(program.name);
        }
        probes.push(Probe {
            hook: program.hook.to_owned(),
            plan: program.plan.to_owned(),
            attached: reason.is_none(),
            reason,
        });
    }
    let mut gaps = vec![
        uncovered(
            "system calls of 32-bit programs",
            &[],
            "only calls by the 64-bit table are read; others are counted as lost, and where none was, none was made",
        ),
        uncovered(
            "the folders of names that were deleted, renamed, linked or made, beyond symbolic links in them",
            &[],
            "such names are read from the call's argument, at its start and its end, and not resolved by the kernel",
        ),
        uncovered("times set on files (utimensat)", &[], "no probe of this version records them"),
    ];
    if uring {
        gaps.push(uncovered(
            "extended attributes set through io_uring",
            &[],
            "of io_uring, opening, naming, connecting, accepting, sending, reading and writing are recorded",
        ));
    } else {
        gaps.push(uncovered(
            IO_URING_UNSEEN,
            &[],
            "setting up a ring is recorded (kind io_uring); where none was, none was used",
        ));
    }
    let kinds = Kind::ALL.iter().filter(|kind| !matches!(kind, Kind::Dns | Kind::TlsName | Kind::Existing));
    Plan {
        optional,
        probes,
        coverage: Coverage { kinds: kinds.map(|kind| kind.as_str().to_owned()).collect(), uncovered: gaps },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which optional programs a kernel with these types gets, and whether io_uring stays uncovered.
    #[track_caller]
    fn check(types: &[&str], optional: &[&str], uring_unseen: bool) {
        let plan = choose(&|name| types.contains(&name));
        assert_eq!(plan.optional, optional, "{types:?}");
        let unseen = plan.coverage.uncovered.iter().any(|gap| gap.what == IO_URING_UNSEEN);
        assert_eq!(unseen, uring_unseen, "{types:?}");
        assert_eq!(plan.probes.iter().all(|probe| probe.attached), !uring_unseen, "{:?}", plan.probes);
    }

    #[test]
    fn the_kernels_own_types_decide() {
        let (new, old, requests) = ("btf_trace_io_uring_submit_req", "btf_trace_io_uring_submit_sqe", "io_cmd_data");
        check(&[new, requests], &["on_uring_request", "on_uring_result"], false);
        check(&[old, requests], &["on_uring_entry", "on_uring_result"], false);
        check(&[old], &[], true);
        check(&[], &[], true);
    }

    #[test]
    fn a_program_is_named_once() {
        for (index, program) in PROGRAMS.iter().enumerate() {
            assert!(PROGRAMS[..index].iter().all(|other| other.name != program.name), "{}", program.name);
        }
    }
}
