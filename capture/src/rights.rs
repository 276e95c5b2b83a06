//! Gives up what a capture does not need any more once its programs are loaded and its command has started, so that
//! whoever gets hold of the recorder gets hold of little.

use crate::error::{Error, Result};
use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Lifts the limits that would keep a case from being written, as far as this user may: after the command has started,
/// which keeps those that it was given.
pub fn lift_limits() {
    let _ = setrlimit(Resource::RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY);
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// Gives up every capability of the calling thread but these, for good, and the gain of any by executing a program.
pub fn keep_only(capabilities: &[Capability]) -> Result<()> {
    let failed = |error: caps::errors::CapsError| Error::System {
        doing: "giving up the rights that are not needed any more",
        source: std::io::Error::other(error.to_string()),
    };
    let had = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let kept: CapsHashSet = capabilities.iter().copied().filter(|one| had.contains(one)).collect();
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)?;
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    nix::sys::prctl::set_no_new_privs()
        .map_err(|errno| Error::System { doing: "giving up the gain of rights", source: errno.into() })
}
