//! Starts the command as the user that it should run as.

use crate::error::{Error, Result};
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setresgid, setresuid};
use std::ffi::{CString, OsString};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Whom the command runs as, and who should own the case.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The command's user.
    pub user: User,
    /// The one who ran sudo, if anybody did.
    pub invoker: Option<(Uid, Gid)>,
}

fn look_up(name: &str) -> Result<User> {
    let found = match name.parse::<u32>() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(name),
    };
    found.ok().flatten().ok_or_else(|| Error::NoUser { name: name.to_owned() })
}

impl Identity {
    /// `asked` (--user), else the one who ran sudo, else the current user.
    pub fn resolve(asked: Option<&str>) -> Result<Identity> {
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
        let invoker = match (geteuid().is_root(), number("SUDO_UID"), number("SUDO_GID")) {
            (true, Some(uid), Some(gid)) => Some((Uid::from_raw(uid), Gid::from_raw(gid))),
            _ => None,
        };
        let user = match (asked, invoker) {
            (Some(name), _) => look_up(name)?,
            (None, Some((uid, _))) => look_up(&uid.to_string())?,
            (None, None) => look_up(&geteuid().to_string())?,
        };
        Ok(Identity { user, invoker })
    }
}

/// Starts `command` as `identity`, with more environment. It forks from the calling thread.
pub fn start(command: &[OsString], identity: &Identity, environment: &[(&str, OsString)]) -> Result<Child> {
    let name = command[0].to_string_lossy().into_owned();
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).envs(environment.iter().map(|(name, value)| (*name, value)));
    let user = identity.user.clone();
    if user.uid != geteuid() {
        child.env("HOME", &user.dir).env("USER", &user.name).env("LOGNAME", &user.name);
    }
    let login = CString::new(user.name.clone()).unwrap_or_default();
    let change = user.uid != geteuid();
    // SAFETY: between fork and exec only system calls are made; everything that allocates was prepared above.
    // (initgroups reads /etc/group, which the libc documents as safe only in a process of one thread's use; the child
    // has just that.)
    unsafe {
        child.pre_exec(move || {
            if change {
                initgroups(&login, user.gid)?;
                setresgid(user.gid, user.gid, user.gid)?;
                setresuid(user.uid, user.uid, user.uid)?;
            }
            Ok(())
        });
    }
    child.spawn().map_err(|source| Error::Start { command: name, source })
}
