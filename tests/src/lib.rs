//! What the end-to-end tests share: the built programs, temporary folders, captures, reports.
//!
//! The tests run the programs as a user would, and know nothing of their insides: what they assert is in the output.

pub mod baselines;
pub mod battery;
pub mod evasion;
pub mod events;
mod recording;
pub mod table;
pub mod truth;

use argus_schemas::report::Report;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace").to_owned()
}

/// The path of a program of the workspace, built earlier in the same profile.
///
/// # Panics
/// If it has not been built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    // target/PROFILE/deps/TEST
    let path = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps").join(name);
    assert!(path.exists(), "{} is not built; `make test` builds it first", path.display());
    path
}

/// A folder that goes when this value does.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty one, whose path has no symbolic link in it.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(name: &str) -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let parent = std::env::temp_dir().canonicalize().expect("there is a folder for temporary files");
        let path = parent.join(format!("argus-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder can be made");
        Scratch { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("ARGUS_KEEP").is_some() {
            eprintln!("kept: {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Names a skipped test with its reason: on standard error, and in the list that `make test` ends with.
pub fn skip(what: &str, why: &str) {
    let line = format!("{what}: {}", why.trim().replace('\n', " "));
    eprintln!("SKIPPED {line}");
    if let Some(list) = std::env::var_os("ARGUS_SKIPS") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(list);
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}

/// Whether a command is on the search path.
pub fn on_path(name: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Runs a command to its end.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"))
}

/// Standard output and error of a run, for messages.
pub fn shown(output: &Output) -> String {
    let mut text = format!("{}\n", output.status);
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let _ = writeln!(text, "--- {name}\n{}", String::from_utf8_lossy(bytes));
    }
    text
}

fn euid() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("Uid:"))?;
    line.split_whitespace().nth(2)?.parse().ok()
}

/// A command that runs as root: as it is, or through sudo.
pub fn as_root(program: impl AsRef<OsStr>) -> Command {
    if euid() == Some(0) {
        Command::new(program)
    } else {
        let mut command = Command::new("sudo");
        command.arg("-n").arg(program);
        command
    }
}

fn capture_command() -> Command {
    as_root(program("argus-capture"))
}

/// Whether this machine and user can record; if not, why, as `argus-capture doctor` says.
pub fn can_capture() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    ANSWER
        .get_or_init(|| {
            if !cfg!(target_os = "linux") {
                return Err("recording needs Linux".to_owned());
            }
            let output = match capture_command().arg("doctor").output() {
                Ok(output) => output,
                Err(error) => return Err(format!("not root, and sudo cannot be started: {error}")),
            };
            if output.status.success() { Ok(()) } else { Err(shown(&output)) }
        })
        .clone()
}

/// Held while recording, so that the tests of one program do not slow one another's captures.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    static RECORDING: Mutex<()> = Mutex::new(());
    RECORDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records a command into `case`. `environment` reaches the command through env(1), because sudo would drop it.
pub fn capture<S: AsRef<OsStr>>(case: &Path, options: &[&str], environment: &[(&str, &str)], command: &[S]) -> Output {
    let mut whole = capture_command();
    whole.arg("run").arg("-o").arg(case).args(options).arg("--");
    if !environment.is_empty() {
        whole.arg("env").args(environment.iter().map(|(name, value)| format!("{name}={value}")));
    }
    run(whole.args(command))
}

/// Runs `argus-analyze`.
pub fn analyze<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    run(Command::new(program("argus-analyze")).args(arguments))
}

/// Runs `argus-analyze` on one thread.
pub fn analyze_on_one_thread<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    let mut command = Command::new(program("argus-analyze"));
    run(command.args(arguments).env("POLARS_MAX_THREADS", "1").env("RAYON_NUM_THREADS", "1"))
}

/// The report on a case, as data.
///
/// # Panics
/// If the case cannot be analysed, or the report is not what the schema says.
pub fn report(case: &Path) -> Report {
    let folder = Scratch::new("report");
    let file = folder.join("report.json");
    let output = analyze(&[OsStr::new("report"), case.as_os_str(), OsStr::new("-o"), file.as_os_str()]);
    assert!(output.status.success(), "report on {}: {}", case.display(), shown(&output));
    let text = std::fs::read_to_string(&file).expect("the report was written");
    serde_json::from_str(&text).expect("the report follows its schema")
}

/// Copies a folder with everything in it.
///
/// # Panics
/// If that fails.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the copy's folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the entry can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("the file can be copied");
        }
    }
}

/// Every file beneath a folder, sorted.
///
/// # Panics
/// If the folder cannot be read.
pub fn files_beneath(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            files.extend(files_beneath(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The sample cases, by name.
///
/// # Panics
/// If the folder of samples cannot be read.
pub fn sample_cases() -> Vec<PathBuf> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(workspace().join("sample-traces")).expect("there are samples") {
        let folder = entry.expect("the entry can be read").path();
        if !folder.is_dir() {
            continue;
        }
        for inner in std::fs::read_dir(&folder).expect("the folder can be read") {
            let path = inner.expect("the entry can be read").path();
            if path.is_dir() && path.extension().is_some_and(|ending| ending == "argus") {
                cases.push(path);
            }
        }
    }
    cases.sort();
    cases
}

/// Every effect of a report, whoever owns it.
pub fn all_effects(report: &Report) -> impl Iterator<Item = &argus_schemas::report::Effect> {
    let owned = report.calls.iter().flat_map(|call| &call.effects);
    owned.chain(report.unowned.iter().flat_map(|group| &group.effects))
}
