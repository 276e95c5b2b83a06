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
    /// `syscalls`: what every supported kernel allows. `objects`: a kernel's own function, where it can be traced.
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
    /// A function of the kernel that can be traced.
    Function(&'static str),
    /// The root of the control groups (version 2), which it is attached to.
    ControlGroups,
}

const fn tracepoint(name: &'static str, hook: &'static str) -> Program {
    Program { name, hook, plan: "syscalls", needs: Needs::Nothing }
}

const fn of_control_groups(name: &'static str, hook: &'static str) -> Program {
    Program { needs: Needs::ControlGroups, ..tracepoint(name, hook) }
}

/// The function of an `fentry/` hook is what it needs.
const fn object(name: &'static str, hook: &'static str, function: &'static str) -> Program {
    Program { name, hook, plan: "objects", needs: Needs::Function(function) }
}

/// All of them. Those without `needs` are loaded on every kernel, or none is.
pub(crate) const PROGRAMS: [Program; 34] = [
    tracepoint("on_fork", "tp_btf/sched_process_fork"),
    tracepoint("on_exec", "tp_btf/sched_process_exec"),
    tracepoint("on_exit", "tp_btf/sched_process_exit"),
    tracepoint("on_sys_enter", "tp_btf/sys_enter"),
    tracepoint("on_sys_exit", "tp_btf/sys_exit"),
    tracepoint("on_signal", "tp_btf/signal_generate"),
    tracepoint("on_tcp_state", "tp_btf/inet_sock_set_state"),
    tracepoint("on_joined", "tp_btf/cgroup_attach_task"),
    tracepoint("on_begun_inside", "tp_btf/sched_process_fork"),
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
    object("object_unlink", "fentry/security_path_unlink", "security_path_unlink"),
    object("object_rmdir", "fentry/security_path_rmdir", "security_path_rmdir"),
    object("object_mkdir", "fentry/security_path_mkdir", "security_path_mkdir"),
    object("object_mknod", "fentry/security_path_mknod", "security_path_mknod"),
    object("object_symlink", "fentry/security_path_symlink", "security_path_symlink"),
    object("object_link", "fentry/security_path_link", "security_path_link"),
    object("object_rename", "fentry/security_path_rename", "security_path_rename"),
    object("object_truncate", "fentry/security_path_truncate", "security_path_truncate"),
    object("object_chmod", "fentry/security_path_chmod", "security_path_chmod"),
    object("object_chown", "fentry/security_path_chown", "security_path_chown"),
    object("object_chroot", "fentry/security_path_chroot", "security_path_chroot"),
    object("object_pivot_root", "fentry/security_sb_pivotroot", "security_sb_pivotroot"),
    object("object_mount", "fentry/security_sb_mount", "security_sb_mount"),
    object("object_move_mount", "fentry/security_move_mount", "security_move_mount"),
    object("object_unmount", "fentry/security_sb_umount", "security_sb_umount"),
    object("object_open", "fentry/fd_install", "fd_install"),
    object("object_connect", "fentry/security_socket_connect", "security_socket_connect"),
    object("object_bind", "fentry/security_socket_bind", "security_socket_bind"),
    object("object_send", "fentry/security_socket_sendmsg", "security_socket_sendmsg"),
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
        mend: None,
    }
}

/// Why a kernel cannot be asked for something, and what would have to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hindrance {
    /// Why.
    pub why: String,
    /// What to do about it, where something can be done.
    pub mend: Option<String>,
}

impl Hindrance {
    /// One that nothing can be done about.
    pub fn new(why: String) -> Self {
        Self { why, mend: None }
    }

    /// With what to do about it.
    pub fn mended_by(self, mend: &str) -> Self {
        Self { mend: Some(mend.to_owned()), ..self }
    }
}

/// Whether a program is of the `objects` plan.
pub(crate) fn is_object(name: &str) -> bool {
    PROGRAMS.iter().any(|program| program.name == name && program.plan == "objects")
}

/// What is known of a kernel.
pub(crate) struct Kernel<'a> {
    /// Whether its BTF has a type or function of this name.
    pub has: &'a dyn Fn(&str) -> bool,
    /// Why programs cannot be attached to the control groups, if they cannot.
    pub groups: Result<(), Hindrance>,
    /// Why its functions cannot be traced, if they cannot.
    pub tracing: Result<(), Hindrance>,
    /// Programs that it refused when they were attached, by name, and why.
    pub refused: Vec<(&'static str, String)>,
}

/// Chooses.
pub(crate) fn choose(kernel: &Kernel<'_>) -> Plan {
    let (has, groups) = (kernel.has, &kernel.groups);
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
            Needs::ControlGroups => groups.clone().err().map(|hindrance| hindrance.why),
            Needs::Function(_) if kernel.tracing.is_err() => {
                kernel.tracing.clone().err().map(|hindrance| hindrance.why)
            }
            Needs::Function(function) if !has(function) => Some(format!("this kernel has no {function}")),
            _ => None,
        };
        let refusal = kernel.refused.iter().find(|(name, _)| *name == program.name);
        let reason = reason.or_else(|| refusal.map(|(_, why)| why.clone()));
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
            "messages and asynchronous requests of 32-bit programs, and calls of the x32 table",
            &[],
            "their structures are laid out otherwise; such calls are counted as lost, and where none was, none was made",
        ),
        uncovered("times set on files (utimensat)", &[], "no probe of this version records them"),
        uncovered(
            "bytes written through shared mappings of files",
            &[],
            "such a file was opened for writing, and is reported as written; the memory is not watched",
        ),
        uncovered(
            "shared memory and message queues (System V, POSIX)",
            &[],
            "what processes tell one another there is not recorded; POSIX shared memory shows as files in /dev/shm",
        ),
        uncovered(
            "bytes of asynchronous reads and writes (io_submit)",
            &[],
            "what becomes of them is told to the program alone; that it ordered them, and of which files, is recorded, as \
             its memory named them, and its process counts as one that may have read or written all that goes through",
        ),
        uncovered(
            "calls that a seccomp filter answers",
            &[],
            "the kernel tells of a call only after its filters; what a supervisor does for a program is its own",
        ),
        uncovered(
            "programs that the kernel starts, and what it does for its own settings",
            &[],
            "modules, core dump handlers and eBPF programs run outside the followed tree; that they were loaded, and \
             what was written to /proc/sys and /sys, is recorded",
        ),
        uncovered(
            "terminals and devices told by ioctl",
            &[],
            "of ioctl, sharing the content of files, their attributes and ordered signals are recorded",
        ),
    ];
    let unresolved: Vec<&Probe> = probes.iter().filter(|probe| probe.plan == "objects" && !probe.attached).collect();
    if let Some(reason) = unresolved.first().and_then(|probe| probe.reason.as_ref()) {
        let mend = kernel.tracing.as_ref().err().and_then(|hindrance| hindrance.mend.clone());
        gaps.push(Uncovered {
            mend,
            ..uncovered(
                "the folders of names that were deleted, renamed, linked or made, beyond symbolic links in them",
                &[],
                &format!(
                    "such names are read from the call's argument, at its start and its end, and not resolved by the \
                 kernel: {reason}"
                ),
            )
        });
        gaps.push(uncovered(
            "descriptors that another thread replaces before the call that made them returns",
            &[],
            "an opened file and an accepted connection are looked up when the call returns, where they cannot be \
             watched as they are made",
        ));
    }
    let by_name = if unresolved.is_empty() { "attributes" } else { "permissions, owners, attributes or lengths" };
    gaps.push(uncovered(
        &format!("files behind symbolic links, of which {by_name} were changed by name"),
        &[],
        "the name is the call's argument; where the record does not show that no link lay there, nothing that was \
         declared of it is taken for confirmed",
    ));
    if uring {
        gaps.push(uncovered(
            "what one request of io_uring accepts and receives again and again (multishot)",
            &[],
            "its first submission is recorded, and from then on its process counts as one that may have read all that comes; \
             the bytes are counted when the connections are used otherwise. What one ring tells another, and descriptors \
             that it passes to it, are not recorded",
        ));
    } else {
        let gap = uncovered(
            IO_URING_UNSEEN,
            &[],
            "setting up a ring is recorded (kind io_uring); where none was, none was used",
        );
        gaps.push(Uncovered { mend: Some("run Linux 6.0 or newer".to_owned()), ..gap });
    }
    match groups {
        Ok(()) => gaps.push(uncovered(
            "names that are asked for in ciphers",
            &[],
            "names are read from answers of port 53 and from TLS over TCP; DNS over HTTPS, QUIC and encrypted client \
             hellos show none",
        )),
        Err(hindrance) => {
            gaps.push(Uncovered { mend: hindrance.mend.clone(), ..uncovered(NAMES_UNSEEN, &[], &hindrance.why) });
        }
    }
    let seen = |kind: &&Kind| match kind {
        Kind::Dns | Kind::TlsName => groups.is_ok(),
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

    fn plan(types: &[&str], groups: bool, tracing: bool, refused: &[&'static str]) -> Plan {
        let hindrance = || Hindrance::new("it cannot".to_owned()).mended_by("let it");
        let allowed = |yes: bool| if yes { Ok(()) } else { Err(hindrance()) };
        choose(&Kernel {
            has: &|name| types.contains(&name),
            groups: allowed(groups),
            tracing: allowed(tracing),
            refused: refused.iter().map(|name| (*name, "refused".to_owned())).collect(),
        })
    }

    /// What would mend a gap.
    fn mend<'a>(plan: &'a Plan, what: &str) -> Option<&'a str> {
        plan.coverage.uncovered.iter().find(|gap| gap.what.starts_with(what))?.mend.as_deref()
    }

    fn is_uncovered(plan: &Plan, what: &str) -> bool {
        plan.coverage.uncovered.iter().any(|gap| gap.what.starts_with(what))
    }

    /// Which optional programs a kernel with these types gets, and whether io_uring stays uncovered.
    #[track_caller]
    fn check(types: &[&str], optional: &[&str], uring_unseen: bool) {
        let plan = plan(types, false, false, &[]);
        assert_eq!(plan.optional, optional, "{types:?}");
        assert_eq!(is_uncovered(&plan, IO_URING_UNSEEN), uring_unseen, "{types:?}");
        let mut requests = plan.probes.iter().filter(|probe| probe.hook.contains("io_uring"));
        assert_eq!(requests.all(|probe| probe.attached), !uring_unseen, "{:?}", plan.probes);
    }

    #[test]
    fn names_need_the_control_groups() {
        let names =
            |plan: &Plan| plan.coverage.kinds.iter().filter(|kind| ["dns", "tls_name"].contains(&&***kind)).count();
        let with = plan(&[], true, false, &[]);
        assert_eq!((names(&with), with.optional.len()), (2, 3));
        let without = plan(&[], false, false, &[]);
        assert_eq!((names(&without), without.optional.len()), (0, 0));
        assert!(is_uncovered(&without, NAMES_UNSEEN) && !is_uncovered(&with, NAMES_UNSEEN));
        assert_eq!(mend(&without, NAMES_UNSEEN), Some("let it"));
    }

    #[test]
    fn objects_need_functions_that_can_be_traced() {
        let links =
            |plan: &Plan, what: &str| is_uncovered(plan, &format!("files behind symbolic links, of which {what}"));
        let functions: Vec<&str> = PROGRAMS
            .iter()
            .filter_map(|program| match program.needs {
                Needs::Function(function) => Some(function),
                _ => None,
            })
            .collect();
        let gap = "the folders of names";
        let all = plan(&functions, false, true, &[]);
        assert_eq!(all.optional.len(), functions.len());
        assert!(!is_uncovered(&all, gap) && links(&all, "attributes"));
        let locked = plan(&functions, false, false, &[]);
        assert!(locked.optional.is_empty() && is_uncovered(&locked, gap) && links(&locked, "permissions"));
        assert_eq!(mend(&locked, gap), Some("let it"));
        // One hook that is missing is named, and the others stay.
        for one_less in [plan(&functions[1..], false, true, &[]), plan(&functions, false, true, &["object_unlink"])] {
            assert_eq!(one_less.optional.len(), functions.len() - 1);
            let without: Vec<_> =
                one_less.probes.iter().filter(|probe| !probe.attached && probe.plan == "objects").collect();
            assert_eq!(without.len(), 1);
            assert!(without[0].hook.ends_with(functions[0]) && is_uncovered(&one_less, gap));
        }
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
