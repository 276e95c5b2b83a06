//! Which programs are loaded on a kernel, and what stays uncovered: a pure function of what the kernel has.

use argus_schemas::events::Kind;
use argus_schemas::manifest::{Coverage, IO_URING_UNSEEN, NAMES_UNSEEN, Probe, Uncovered};

/// A program that a kernel may or may not be able to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its function in the object.
    pub name: &'static str,
    /// What it is attached to.
    pub hook: &'static str,
    /// `syscalls`: what every supported kernel allows.
    pub plan: &'static str,
    /// What it cannot do without.
    pub needs: Needs,
}

/// What a program cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing that a supported kernel lacks.
    Nothing,
    /// A type in the kernel's BTF.
    Type(&'static str),
    /// The root of the control groups (version 2), which it is attached to.
    ControlGroups,
}

const fn tracepoint(name: &'static str, hook: &'static str) -> Program {
    Program { name, hook, plan: "syscalls", needs: Needs::Nothing }
}

const fn of_control_groups(name: &'static str, hook: &'static str) -> Program {
    Program { needs: Needs::ControlGroups, ..tracepoint(name, hook) }
}

/// All of them. Those without `needs` are loaded on every kernel, or none is.
pub(crate) const PROGRAMS: [Program; 13] = [
    tracepoint("on_fork", "tp_btf/sched_process_fork"),
    tracepoint("on_exec", "tp_btf/sched_process_exec"),
    tracepoint("on_exit", "tp_btf/sched_process_exit"),
    tracepoint("on_sys_enter", "tp_btf/sys_enter"),
    tracepoint("on_sys_exit", "tp_btf/sys_exit"),
    tracepoint("on_signal", "tp_btf/signal_generate"),
    tracepoint("on_tcp_state", "tp_btf/inet_sock_set_state"),
    Program {
        needs: Needs::Type("btf_trace_io_uring_submit_req"),
        ..tracepoint("on_uring_request", "tp_btf/io_uring_submit_req")
    },
    Program {
        needs: Needs::Type("btf_trace_io_uring_submit_sqe"),
        ..tracepoint("on_uring_entry", "tp_btf/io_uring_submit_sqe")
    },
    Program { needs: Needs::Type("io_cmd_data"), ..tracepoint("on_uring_result", "tp_btf/io_uring_complete") },
    of_control_groups("on_new_socket", "cgroup/sock_create"),
    of_control_groups("on_packet_in", "cgroup_skb/ingress"),
    of_control_groups("on_packet_out", "cgroup_skb/egress"),
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

/// Chooses. `has`: whether the kernel's BTF has a type of this name; `groups`: why programs cannot be attached to the
/// control groups, if they cannot.
pub(crate) fn choose(has: &dyn Fn(&str) -> bool, groups: Result<(), &str>) -> Plan {
    // Before Linux 6.0 a request's fields lie elsewhere.
    let requests = has("io_cmd_data");
    let uring = requests && (has("btf_trace_io_uring_submit_req") || has("btf_trace_io_uring_submit_sqe"));
    let mut optional = Vec::new();
    let mut probes = Vec::new();
    for program in PROGRAMS {
        let reason = match program.needs {
            Needs::Type(needed) if !has(needed) => {
                // Of the two tracepoints of a request's submission, a kernel has one: the other is nothing to tell of.
                if uring {
                    continue;
                }
                Some(format!("this kernel has no {needed}"))
            }
            Needs::Type(_) if !uring => {
                Some("this kernel is older than 6.0, and lays io_uring requests out otherwise".to_owned())
            }
            Needs::ControlGroups => groups.err().map(str::to_owned),
            _ => None,
        };
        if program.needs != Needs::Nothing && reason.is_none() {
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
    match groups {
        Ok(()) => gaps.push(uncovered(
            "names that are asked for in ciphers",
            &[],
            "names are read from answers of port 53 and from TLS over TCP; DNS over HTTPS, QUIC and encrypted client \
             hellos show none",
        )),
        Err(why) => gaps.push(uncovered(NAMES_UNSEEN, &[], why)),
    }
    let seen = |kind: &&Kind| match kind {
        Kind::Dns | Kind::TlsName => groups.is_ok(),
        Kind::Existing => false,
        _ => true,
    };
    let kinds = Kind::ALL.iter().filter(seen);
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
        let plan = choose(&|name| types.contains(&name), Err("none is mounted"));
        assert_eq!(plan.optional, optional, "{types:?}");
        let unseen = plan.coverage.uncovered.iter().any(|gap| gap.what == IO_URING_UNSEEN);
        assert_eq!(unseen, uring_unseen, "{types:?}");
        let requests = plan.probes.iter().filter(|probe| probe.hook.contains("io_uring"));
        assert_eq!(requests.fold(true, |all, probe| all && probe.attached), !uring_unseen, "{:?}", plan.probes);
    }

    #[test]
    fn names_need_the_control_groups() {
        let names =
            |plan: &Plan| plan.coverage.kinds.iter().filter(|kind| ["dns", "tls_name"].contains(&&***kind)).count();
        let with = choose(&|_| false, Ok(()));
        assert_eq!((names(&with), with.optional.len()), (2, 3));
        let without = choose(&|_| false, Err("none is mounted"));
        assert_eq!((names(&without), without.optional.len()), (0, 0));
        assert!(
            without
                .coverage
                .uncovered
                .iter()
                .any(|gap| (&*gap.what, &*gap.reason) == (NAMES_UNSEEN, "none is mounted"))
        );
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
