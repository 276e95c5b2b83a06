//! A case survives its host: whatever ends the capture, what it had recorded stays readable, once, and says so.

use argus_schemas::report::{Facet, Report};
use argus_tests::{
    Scratch, all_effects, analyze, can_capture, one_at_a_time, program, report, run, shown, skip, workspace,
};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often the capture is killed, and on how many threads at once.
const KILLS: u64 = 200;
const AT_ONCE: u64 = 4;

/// Events of the last second before a kill may be missing, and nothing else.
const MAY_BE_LOST_NS: u64 = 1_000_000_000;

fn ready(what: &str) -> bool {
    if let Err(why) = can_capture() {
        skip(what, &why);
        return false;
    }
    // Who ends the capture must be allowed to, and sudo would stand between.
    let root = std::fs::metadata("/proc/self").is_ok_and(|entry| std::os::unix::fs::MetadataExt::uid(&entry) == 0);
    if !root {
        skip(what, "only root can end a capture that root runs");
    }
    root
}

fn boot_ns() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux tells its uptime");
    let seconds: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).expect("a number");
    (seconds * 1e9) as u64
}

/// A capture of `steady.py`, which has begun to work.
fn start(case: &Path, work: &Path, stop: &Path) -> Child {
    std::fs::create_dir_all(work).expect("a folder can be made");
    let mut child = Command::new(program("argus-capture"))
        .args(["run".as_ref(), "-o".as_ref(), case.as_os_str(), "--".as_ref(), "python3".as_ref()])
        .arg(workspace().join("tests/battery/steady.py"))
        .args([work, stop])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the capture starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("the program says a line");
    assert_eq!(line, "began\n");
    child
}

/// The instants in the names of the files that the report says were made; each once.
fn made(report: &Report, work: &Path) -> BTreeSet<u64> {
    let mut instants = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for effect in all_effects(report).filter(|effect| effect.facet == Facet::Write) {
        let name = Path::new(&effect.object).strip_prefix(work).ok();
        let Some(instant) = name.and_then(|name| name.to_str()?.parse().ok()) else { continue };
        assert!(effect.count == 1 && instants.insert(instant), "{effect:?} is there twice");
        assert!(effect.event_ids.iter().all(|id| ids.insert(*id)), "an event of {effect:?} is there twice");
    }
    instants
}

/// What the program really made until `until`.
fn really_made(work: &Path, until: u64) -> BTreeSet<u64> {
    let names = std::fs::read_dir(work).expect("the folder is there").flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|instant| *instant < until).collect()
}

#[track_caller]
fn nothing_but_the_last_second_is_missing(report: &Report, work: &Path, ended: u64) {
    let seen = made(report, work);
    let missing: Vec<u64> =
        really_made(work, ended.saturating_sub(MAY_BE_LOST_NS)).difference(&seen).copied().collect();
    assert!(missing.is_empty(), "{} events older than a second are missing: {missing:?}", missing.len());
}

/// What an interrupted capture leaves beyond its manifest is its tail, and nobody's doing.
#[track_caller]
fn is_interrupted_and_not_changed(case: &Path, when: &str) {
    let verified = analyze(&[OsStr::new("verify"), case.as_os_str()]);
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(1), "{when}: {text}");
    assert!(text.contains("The capture was interrupted; what it recorded until then agrees"), "{when}: {text}");
    assert!(!text.contains("is not in the manifest"), "{when}: {text}");
}

#[test]
fn killed_two_hundred_times() {
    if !ready("killing the capture") {
        return;
    }
    let _alone = one_at_a_time();
    std::thread::scope(|scope| {
        for thread in 0..AT_ONCE {
            scope.spawn(move || {
                for round in 0..KILLS / AT_ONCE {
                    let scratch = Scratch::new("killed");
                    let (case, work, stop) = (scratch.join("k.argus"), scratch.join("work"), scratch.join("stop"));
                    let mut capture = start(&case, &work, &stop);
                    // Spread over more than two periods of writing; any instant will do, which is the point.
                    let wait = (round * AT_ONCE + thread) * 6_151 % 1_300;
                    std::thread::sleep(Duration::from_millis(wait));
                    let ended = boot_ns();
                    capture.kill().expect("it still runs");
                    capture.wait().expect("it can be waited for");
                    std::fs::write(&stop, "").expect("the program can be told to stop");
                    let report = report(&case);
                    assert!(!report.case.clean, "after {wait} ms");
                    nothing_but_the_last_second_is_missing(&report, &work, ended);
                    is_interrupted_and_not_changed(&case, &format!("after {wait} ms"));
                }
            });
        }
    });
}

#[test]
fn ended_by_a_signal() {
    if !ready("ending the capture") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("ended");
    let (case, work, stop) = (scratch.join("e.argus"), scratch.join("work"), scratch.join("stop"));
    let mut capture = start(&case, &work, &stop);
    while really_made(&work, u64::MAX).len() < 100 {
        std::thread::yield_now();
    }
    let before = really_made(&work, u64::MAX);
    let killed = run(Command::new("kill").args(["-TERM", &capture.id().to_string()]));
    assert!(killed.status.success(), "{}", shown(&killed));
    capture.wait().expect("it can be waited for");
    std::fs::write(&stop, "").expect("the program can be told to stop");
    let report = report(&case);
    assert!(!report.case.clean, "the program went on, unrecorded");
    let seen = made(&report, &work);
    assert!(before.is_subset(&seen), "all that was done before the signal is there");
    let verified = analyze(&[OsStr::new("verify"), case.as_os_str()]);
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(text.contains("while processes of the subtree went on"), "{text}");
}

/// Whoever presses Ctrl-\ tells the program too, whose end is what counts.
#[test]
fn asked_to_quit() {
    if !ready("telling the capture to quit") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("quit");
    let (case, work, stop) = (scratch.join("q.argus"), scratch.join("work"), scratch.join("stop"));
    let mut capture = start(&case, &work, &stop);
    while really_made(&work, u64::MAX).is_empty() {
        std::thread::yield_now();
    }
    let told = run(Command::new("kill").args(["-QUIT", &capture.id().to_string()]));
    assert!(told.status.success(), "{}", shown(&told));
    std::fs::write(&stop, "").expect("the program can be told to stop");
    capture.wait().expect("it can be waited for");
    assert!(report(&case).case.clean);
}

#[test]
fn a_terminal_that_is_closed_takes_nothing_along() {
    if !ready("closing the terminal") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("terminal");
    let (case, work, stop) = (scratch.join("t.argus"), scratch.join("work"), scratch.join("stop"));
    std::fs::create_dir_all(&work).expect("a folder can be made");
    // The program dies of the terminal's end; the capture records that, and ends as ever.
    let output = run(Command::new("python3")
        .arg(workspace().join("tests/battery/closed_terminal.py"))
        .arg(program("argus-capture"))
        .args(["run".as_ref(), "-o".as_ref(), case.as_os_str(), "--".as_ref(), "python3".as_ref()])
        .arg(workspace().join("tests/battery/steady.py"))
        .args([&work, &stop]));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), (128 + 1).to_string(), "{}", shown(&output));
    let report = report(&case);
    assert!(report.case.clean);
    assert_eq!(made(&report, &work), really_made(&work, u64::MAX));
    assert!(!made(&report, &work).is_empty());
}

#[test]
fn a_full_disk_ends_neither_the_command_nor_the_case() {
    if !ready("filling the disk") {
        return;
    }
    let _alone = one_at_a_time();
    let scratch = Scratch::new("full");
    let disk = scratch.join("disk");
    std::fs::create_dir_all(&disk).expect("a folder can be made");
    let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "argus-test"]).arg(&disk));
    if !mounted.status.success() {
        return skip("filling the disk", &shown(&mounted));
    }
    let case = disk.join("f.argus");
    let many = "import os,sys\nfor n in range(300000): os.path.exists(f'/nowhere/{n*7919%1000003}/x'); \
                \nfor n in range(150000):\n try: os.open(f'/nowhere/{n*7919%1000003}', 0)\n except OSError: pass\nsys.exit(7)";
    let output = run(Command::new(program("argus-capture"))
        .args(["run".as_ref(), "-o".as_ref(), case.as_os_str()])
        .args(["--", "python3", "-c", many]));
    let copy = scratch.join("copy.argus");
    argus_tests::copy_folder(&case, &copy);
    let unmounted = run(Command::new("umount").arg(&disk));
    assert!(unmounted.status.success(), "{}", shown(&unmounted));
    assert_eq!(output.status.code(), Some(7), "{}", shown(&output));
    let report = report(&copy);
    assert!(!report.case.clean, "{:#?}", report.case);
    assert!(report.case.lost > 0, "{:#?}", report.case);
    assert!(report.case.events + report.case.lost >= 150_000, "{:#?}", report.case);
}

/// Stops a file system where it stands, without its journal: what an ext4 that lost its power looks like.
const CUT: &str = "import fcntl, os, struct, sys; \
                   fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// How often the power is cut.
const CUTS: u64 = 10;

/// An ext4 in a file, mounted; it goes when this value does, whatever became of the test.
struct Disk {
    image: std::path::PathBuf,
    place: std::path::PathBuf,
}

impl Disk {
    fn new(scratch: &Scratch) -> Result<Disk, String> {
        let disk = Disk { image: scratch.join("disk.img"), place: scratch.join("disk") };
        std::fs::create_dir(&disk.place).expect("a folder can be made");
        let image = std::fs::File::create(&disk.image).expect("a file can be made");
        image.set_len(64 << 20).expect("it can be that long");
        for command in [Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image), &mut disk.mounts()] {
            match command.output() {
                Ok(output) if output.status.success() => {}
                Ok(output) => return Err(shown(&output)),
                Err(error) => return Err(format!("{command:?}: {error}")),
            }
        }
        Ok(disk)
    }

    fn mounts(&self) -> Command {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&self.image).arg(&self.place);
        mount
    }

    /// Without power, and then with power again.
    fn again(&self) {
        for mut command in [Command::new("umount"), self.mounts()] {
            if command.get_program() == "umount" {
                command.arg(&self.place);
            }
            let output = run(&mut command);
            assert!(output.status.success(), "{command:?}: {}", shown(&output));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).output();
    }
}

#[test]
fn a_power_cut_takes_one_second() {
    if !ready("cutting the power") {
        return;
    }
    let _alone = one_at_a_time();
    for round in 0..CUTS {
        let scratch = Scratch::new("power");
        let disk = match Disk::new(&scratch) {
            Ok(disk) => disk,
            Err(why) => return skip("cutting the power", &why),
        };
        // What the program makes lies on another disk, which keeps its power.
        let (case, work, stop) = (disk.place.join("p.argus"), scratch.join("work"), scratch.join("stop"));
        let mut capture = start(&case, &work, &stop);
        let wait = 300 + round * 617 % 2_300;
        std::thread::sleep(Duration::from_millis(wait));
        let ended = boot_ns();
        let cut = run(Command::new("python3").args(["-c", CUT]).arg(&disk.place));
        assert!(cut.status.success(), "{}", shown(&cut));
        capture.kill().expect("it still runs");
        capture.wait().expect("it can be waited for");
        std::fs::write(&stop, "").expect("the program can be told to stop");
        disk.again();
        let report = report(&case);
        assert!(!report.case.clean, "after {wait} ms");
        nothing_but_the_last_second_is_missing(&report, &work, ended);
        is_interrupted_and_not_changed(&case, &format!("after {wait} ms"));
    }
}
