//! Loads and attaches the eBPF programs, and drains their ring buffer.

use crate::layout::LOSS_CAUSES;
use crate::plan::{self, Hindrance, Kernel, Plan};
use crate::skeleton::{ArgusSkel, ArgusSkelBuilder, types};
use crate::trial::TrialSkelBuilder;
use argus_schemas::events::Kind;
use argus_schemas::manifest::{Coverage, Probe};
use libbpf_rs::btf::{Btf, BtfType};
use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{ErrorKind, Link, MapCore, MapFlags, OpenObject, PrintLevel, RingBuffer, RingBufferBuilder};
use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

/// Why the kernel could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel refuses this user.
    #[error("the kernel does not let this user load eBPF programs")]
    NotPermitted,
    /// The kernel does not describe its own types.
    #[error("this kernel has no /sys/kernel/btf/vmlinux, which the programs need to find its structures")]
    NoBtf,
    /// A program or map was refused.
    #[error("the kernel refused the eBPF programs while {doing}\n{said}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The end of what libbpf said meanwhile: with a refused program, the verifier's reason.
        said: String,
        /// The error itself.
        #[source]
        source: libbpf_rs::Error,
    },
}

fn refused(doing: &'static str) -> impl FnOnce(libbpf_rs::Error) -> ProbeError {
    move |source| match source.kind() {
        // For root it is the verifier's refusal, or the lockdown's; what libbpf said tells which.
        ErrorKind::PermissionDenied if !is_root() => ProbeError::NotPermitted,
        _ => ProbeError::Refused { doing, said: said(), source },
    }
}

/// Whether this process is root's: it owns its own entry in /proc then.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|entry| std::os::unix::fs::MetadataExt::uid(&entry) == 0)
}

/// What libbpf prints. It takes a function that can hold no state, hence the static; nobody but [`said`] reads it.
static PRINTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How many of libbpf's messages an error shows.
const SHOWN: usize = 24;

fn keep(_: PrintLevel, message: String) {
    if let Ok(mut printed) = PRINTED.lock() {
        printed.extend(message.lines().map(str::to_owned));
    }
}

fn said() -> String {
    PRINTED.lock().map(|printed| printed[printed.len().saturating_sub(SHOWN)..].join("\n")).unwrap_or_default()
}

/// The root of the control groups (version 2), which programs for packets are attached to. It is opened without being
/// mounted: where it usually lies, another mount may hide it, or there may be none.
fn control_groups() -> Result<OwnedFd, Hindrance> {
    // From <linux/mount.h>: FSCONFIG_CMD_CREATE, and the close-on-exec flag of fsopen and fsmount alike.
    const CREATE: i32 = 6;
    const CLOSE_ON_EXEC: i32 = 1;
    let owned = |fd: i64| match i32::try_from(fd) {
        // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => {
            let error = std::io::Error::last_os_error();
            let hindrance = Hindrance::new(format!("control groups of version 2 cannot be opened: {error}"));
            Err(hindrance.mended_by(
                "boot a kernel built with CONFIG_CGROUP_BPF, and without `cgroup_disable` on its command line",
            ))
        }
    };
    // SAFETY: a C string and an integer.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"cgroup2".as_ptr(), CLOSE_ON_EXEC) })?;
    let nothing = std::ptr::null::<libc::c_char>();
    // SAFETY: a live descriptor, and what this command takes: neither key nor value. Should it fail, so does fsmount.
    unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CREATE, nothing, nothing, 0) };
    // SAFETY: a live descriptor and integers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOSE_ON_EXEC, 0) })
}

/// Whether the kernel lets its own functions be traced: the only way to know is to try.
fn functions_can_be_traced() -> Result<(), Hindrance> {
    let mut memory = MaybeUninit::uninit();
    let tried = TrialSkelBuilder::default()
        .open(&mut memory)
        .and_then(|open| open.load())
        .and_then(|mut skeleton| skeleton.attach());
    // What was said meanwhile explains no later error.
    if let Ok(mut printed) = PRINTED.lock() {
        printed.clear();
    }
    tried.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => Hindrance::new(
            "this kernel does not let its own functions be traced: lockdown, which Secure Boot turns on, forbids it"
                .to_owned(),
        )
        .mended_by("boot without lockdown: Secure Boot off, or without `lockdown=` on the kernel's command line"),
        _ => Hindrance::new(format!("this kernel does not let its own functions be traced: {error}"))
            .mended_by("boot a kernel built with CONFIG_FUNCTION_TRACER, as distributions build it"),
    })
}

/// All of them or, where one is refused, none.
fn attach_to_groups(skeleton: &mut ArgusSkel<'static>, root: &OwnedFd) -> Result<(), libbpf_rs::Error> {
    let attach = |program: &libbpf_rs::ProgramMut<'_>| program.attach_cgroup(root.as_raw_fd());
    let (socket, inward, outward) = (
        attach(&skeleton.progs.on_new_socket)?,
        attach(&skeleton.progs.on_packet_in)?,
        attach(&skeleton.progs.on_packet_out)?,
    );
    let links = &mut skeleton.links;
    (links.on_new_socket, links.on_packet_in, links.on_packet_out) = (Some(socket), Some(inward), Some(outward));
    Ok(())
}

/// Records taken out of the ring in one go, so that the caller sees progress under a flood; their bytes are copied.
const BATCH: usize = 2_048;

/// Records of one batch: their bytes one after the other, and where each ends.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Which of the kernel's offers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// All.
    Everything,
    /// Tracepoints alone, even where the kernel's own functions can be traced.
    Syscalls,
}

/// What runs already and is to be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// A process, and all that descends from it.
    Process(i32),
    /// The control group (version 2) with this id, which is its folder's inode, and all beneath it.
    ControlGroup(u64),
}

/// The attached programs. Dropping it detaches them.
pub struct Probes {
    // Declared before the skeleton so that it is dropped first: it refers to the skeleton's ring map.
    ring: RingBuffer<'static>,
    batch: Rc<RefCell<Batch>>,
    /// Links of programs at the kernel's own functions, held for as long as they are to run.
    _objects: Vec<Link>,
    skeleton: ArgusSkel<'static>,
    plan: Plan,
}

const SEED: u32 = 1;

/// How often the tasks are walked over at most, to find those that run already. Each walk finds whatever was forked
/// before it began by what the walks before had found; what is forked later is followed anyway.
const WALKS: usize = 64;

impl Probes {
    /// Loads and attaches everything. `ring_bytes` is the size of the ring, a power of two.
    ///
    /// # Errors
    /// [`ProbeError`]; nothing stays attached then.
    pub fn load(ring_bytes: u32, ask: Ask) -> Result<Probes, ProbeError> {
        if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(ProbeError::NoBtf);
        }
        libbpf_rs::set_print(Some((PrintLevel::Warn, keep)));
        // The skeleton borrows the memory of its object. There is one per process, alive until the end.
        let memory: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
        let mut open = ArgusSkelBuilder::default().open(memory).map_err(refused("opening the object"))?;
        let cpus = libbpf_rs::num_possible_cpus().map_err(refused("counting processors"))?;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        for map in [
            &mut open.maps.scratches,
            &mut open.maps.interrupt_scratches,
            &mut open.maps.sweep_scratches,
            &mut open.maps.object_scratches,
            &mut open.maps.sequences,
        ] {
            map.set_max_entries(cpus).map_err(refused("sizing a map"))?;
        }
        if let Some(data) = open.maps.data_data.as_mut() {
            data.ring_bytes = u64::from(ring_bytes);
        }
        if let Some(data) = open.maps.bss_data.as_mut() {
            data.recorder = std::process::id() as i32;
        }
        open.maps.ring.set_max_entries(ring_bytes).map_err(refused("sizing the ring"))?;
        let kernel = Btf::from_vmlinux().map_err(refused("reading the kernel's types"))?;
        let groups = control_groups();
        let mut known = Kernel {
            has: &|name| kernel.type_by_name::<BtfType<'_>>(name).is_some(),
            groups: groups.as_ref().map(drop).map_err(Clone::clone),
            tracing: match ask {
                Ask::Everything => functions_can_be_traced(),
                Ask::Syscalls => {
                    let why = "the capture was asked to do without (--plan syscalls)".to_owned();
                    Err(Hindrance::new(why).mended_by("leave out --plan syscalls"))
                }
            },
            refused: Vec::new(),
        };
        let mut plan = plan::choose(&known);
        for mut program in open.open_object_mut().progs_mut() {
            if plan.optional.iter().any(|name| *name == program.name()) {
                program.set_autoload(true);
            }
        }
        // The ends are jumped to by the program at a system call's end. The objects are attached one by one below.
        for mut program in open.open_object_mut().progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            if name.starts_with("end_") || plan::is_object(&name) {
                program.set_autoattach(false);
            }
        }
        open.maps.object_scratches.set_autocreate(known.tracing.is_ok()).map_err(refused("sizing a map"))?;
        let mut skeleton = open.load().map_err(refused("loading them"))?;
        skeleton.attach().map_err(refused("attaching them"))?;
        // What follows makes a record easier to read and harder to race; without it, it is a record all the same.
        let mut objects = Vec::new();
        for program in skeleton.object_mut().progs_mut() {
            let Some(name) = plan.optional.iter().find(|name| plan::is_object(name) && **name == program.name()) else {
                continue;
            };
            match program.attach() {
                Ok(link) => objects.push(link),
                Err(error) => known.refused.push((name, format!("the kernel refused the program: {error}"))),
            }
        }
        if let Ok(root) = &groups
            && let Err(error) = attach_to_groups(&mut skeleton, root)
        {
            known.groups = Err(Hindrance::new(format!("the kernel refused the programs for control groups: {error}")));
        }
        plan = plan::choose(&known);

        let batch = Rc::new(RefCell::new(Batch::default()));
        let sink = Rc::clone(&batch);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&skeleton.maps.ring, move |record| {
                let mut batch = sink.borrow_mut();
                batch.bytes.extend_from_slice(record);
                let end = batch.bytes.len();
                batch.ends.push(end);
                0
            })
            .map_err(refused("opening the ring"))?;
        let ring = builder.build().map_err(refused("opening the ring"))?;
        Ok(Probes { ring, batch, _objects: objects, skeleton, plan })
    }

    /// Every program, and what became of it.
    pub fn probes(&self) -> &[Probe] {
        &self.plan.probes
    }

    /// What these programs can and cannot see.
    pub fn coverage(&self) -> &Coverage {
        &self.plan.coverage
    }

    /// While on, what the calling process's main thread forks is followed from its first executed program on.
    ///
    /// # Errors
    /// When the kernel refuses the map update.
    pub fn follow_children(&self, on: bool) -> Result<(), ProbeError> {
        let doing = "marking this process as the one whose children are followed";
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
        let fd = i32::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(ProbeError::Refused { doing, said: said(), source: std::io::Error::last_os_error().into() });
        }
        // SAFETY: the descriptor was just opened, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let key = fd.as_raw_fd().to_ne_bytes();
        let threads = &self.skeleton.maps.threads;
        if on {
            // SAFETY: thread_state is plain integers, for which zero is a value.
            let mut state: types::thread_state = unsafe { std::mem::zeroed() };
            state.flags = SEED;
            // SAFETY: thread_state is plain integers in C layout; the slice lives as long as `state`.
            let value = unsafe {
                std::slice::from_raw_parts((&raw const state).cast::<u8>(), size_of::<types::thread_state>())
            };
            threads.update(&key, value, MapFlags::ANY).map_err(refused(doing))
        } else {
            threads.delete(&key).map_err(refused(doing))
        }
    }

    /// Follows what runs already, from now on, and what it forks; returns how many tasks that are. A row of the kind
    /// `existing` comes for each process.
    ///
    /// # Errors
    /// When the kernel refuses to run the iterator.
    pub fn follow_existing(&mut self, which: Existing) -> Result<u64, ProbeError> {
        if let Some(data) = self.skeleton.maps.bss_data.as_mut() {
            match which {
                Existing::Process(pid) => data.attach_process = pid,
                Existing::ControlGroup(id) => data.attach_group = id,
            }
        }
        for _ in 0..WALKS {
            let before = self.attached();
            self.walk(self.skeleton.links.attach_tasks.as_ref())?;
            if self.attached() == before {
                break;
            }
        }
        Ok(self.attached())
    }

    fn attached(&self) -> u64 {
        let data = self.skeleton.maps.bss_data.as_ref();
        // SAFETY: as in live.
        data.map_or(0, |data| unsafe { std::ptr::read_volatile(&raw const data.attached) })
    }

    /// Processes that were put into the followed control group, in all.
    pub fn joined(&self) -> u64 {
        let data = self.skeleton.maps.bss_data.as_ref();
        // SAFETY: as in live.
        data.map_or(0, |data| unsafe { std::ptr::read_volatile(&raw const data.joined) })
    }

    /// Finds the other threads of processes that were put into the followed control group.
    ///
    /// # Errors
    /// When the kernel refuses to run the iterator.
    pub fn follow_joined(&self) -> Result<(), ProbeError> {
        self.walk(self.skeleton.links.attach_tasks.as_ref())
    }

    /// Makes the kernel send the repeats that threads which have fallen idle still hold back.
    ///
    /// # Errors
    /// When the kernel refuses to run the iterator.
    pub fn sweep(&self) -> Result<(), ProbeError> {
        self.walk(self.skeleton.links.sweep_folds.as_ref())
    }

    /// Makes it send, besides, the byte counts of everything that is still open. For the end of a capture.
    ///
    /// # Errors
    /// When the kernel refuses to run an iterator.
    pub fn sweep_all(&self) -> Result<(), ProbeError> {
        self.sweep()?;
        self.walk(self.skeleton.links.sweep_uses.as_ref())
    }

    fn walk(&self, link: Option<&Link>) -> Result<(), ProbeError> {
        let Some(link) = link else { return Ok(()) };
        let doing = "walking over the tasks of this machine";
        let mut walk = libbpf_rs::Iter::new(link).map_err(refused(doing))?;
        // The programs print nothing: reading to the end is what runs them over every task.
        std::io::copy(&mut walk, &mut std::io::sink()).map_err(|error| ProbeError::Refused {
            doing,
            said: said(),
            source: error.into(),
        })?;
        Ok(())
    }

    /// Followed threads and processes that are alive now; each process counts beside its threads.
    pub fn live(&self) -> u64 {
        let Some(data) = self.skeleton.maps.bss_data.as_ref() else { return 0 };
        // SAFETY: the kernel changes this word under us; a volatile read of an aligned u64 is atomic on x86-64.
        unsafe { std::ptr::read_volatile(&raw const data.live) }
    }

    /// TCP connections of followed processes that have not ended yet: the kernel closes some after their process is
    /// gone.
    pub fn open_connections(&self) -> u64 {
        let Some(data) = self.skeleton.maps.bss_data.as_ref() else { return 0 };
        // SAFETY: as in live.
        unsafe { std::ptr::read_volatile(&raw const data.open_connections) }
    }

    /// What the programs could not record, by cause, so far.
    pub fn losses(&self) -> Vec<(String, u64)> {
        let Some(data) = self.skeleton.maps.bss_data.as_ref() else { return Vec::new() };
        LOSS_CAUSES
            .iter()
            .enumerate()
            .map(|(index, cause)| {
                // SAFETY: as in live.
                ((*cause).to_owned(), unsafe { std::ptr::read_volatile(&raw const data.losses[index]) })
            })
            .collect()
    }

    /// How many events of each kind found the ring too full, so far.
    pub fn lost_kinds(&self) -> Vec<(Kind, u64)> {
        let Some(data) = self.skeleton.maps.bss_data.as_ref() else { return Vec::new() };
        // SAFETY: as in live.
        let count = |kind: Kind| unsafe { std::ptr::read_volatile(&raw const data.lost_kinds[kind as usize]) };
        Kind::ALL.into_iter().map(|kind| (kind, count(kind))).filter(|(_, count)| *count > 0).collect()
    }

    /// Waits at most `timeout` for records, then hands at most a batch of them to `sink`, in order of arrival. Returns
    /// how many there were.
    ///
    /// # Errors
    /// When the ring cannot be read.
    pub fn poll(&mut self, timeout: Duration, sink: &mut dyn FnMut(&[u8])) -> Result<usize, ProbeError> {
        let mut taken = self.ring.consume_raw_n(BATCH);
        if taken == 0 && !timeout.is_zero() {
            let mut wait = libc::pollfd { fd: self.ring.epoll_fd(), events: libc::POLLIN, revents: 0 };
            let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
            // SAFETY: one pollfd, alive during the call. An interrupted wait is as good as an elapsed one.
            unsafe { libc::poll(&raw mut wait, 1, milliseconds) };
            taken = self.ring.consume_raw_n(BATCH);
        }
        if taken < 0 {
            let source = std::io::Error::from_raw_os_error(-taken).into();
            return Err(ProbeError::Refused { doing: "reading the ring", said: said(), source });
        }
        let mut batch = self.batch.borrow_mut();
        let mut start = 0;
        for end in &batch.ends {
            sink(&batch.bytes[start..*end]);
            start = *end;
        }
        let count = batch.ends.len();
        batch.bytes.clear();
        batch.ends.clear();
        Ok(count)
    }
}
