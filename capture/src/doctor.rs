//! `doctor`: what this machine allows, what would be unseen, and how to mend it.

use crate::cli::DoctorArguments;
use crate::error::Result;
use argus_bpf::{Ask, Probes};
use argus_schemas::manifest::Probe;
use std::collections::BTreeMap;
use std::error::Error as _;

/// Prints what a capture here could do; the exit status is 0 when `run` would work, else 2.
pub fn doctor(arguments: &DoctorArguments) -> Result<u8> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let lockdown = std::fs::read_to_string("/sys/kernel/security/lockdown").ok().map(|text| text.trim().to_owned());
    let btf = std::path::Path::new("/sys/kernel/btf/vmlinux").exists();
    let root = nix::unistd::geteuid().is_root();
    // A small ring: this is only to ask.
    let loaded = Probes::load(1 << 20, Ask::Everything);
    if arguments.json {
        let answer = serde_json::json!({
            "kernel": kernel, "lockdown": lockdown, "btf": btf, "root": root, "works": loaded.is_ok(),
            "error": loaded.as_ref().err().map(ToString::to_string),
            "probes": loaded.as_ref().map(Probes::probes).unwrap_or_default(),
            "coverage": loaded.as_ref().map(|probes| probes.coverage().clone()).unwrap_or_default(),
        });
        println!("{answer:#}");
        return Ok(if loaded.is_ok() { 0 } else { 2 });
    }
    println!("kernel      {kernel}");
    println!("lockdown    {}", lockdown.as_deref().unwrap_or("not shown by this kernel"));
    println!("BTF         {}", if btf { "present" } else { "missing: use a kernel built with CONFIG_DEBUG_INFO_BTF" });
    println!("rights      {}", if root { "root" } else { "not root: run it with sudo" });
    match loaded {
        Ok(probes) => {
            plans(probes.probes());
            println!();
            for gap in &probes.coverage().uncovered {
                println!("unseen      {}\n            {}", gap.what, gap.reason);
                if let Some(mend) = &gap.mend {
                    println!("   to mend  {mend}");
                }
            }
            println!("\nargus-capture run works here.");
            Ok(0)
        }
        Err(error) => {
            println!("\nargus-capture run does not work here: {error}.");
            let mut cause = error.source();
            while let Some(one) = cause {
                println!("  because: {one}");
                cause = one.source();
            }
            Ok(2)
        }
    }
}

/// A line for each plan, and for each reason why probes of it are not attached.
fn plans(probes: &[Probe]) {
    for plan in ["syscalls", "objects"] {
        let of_plan: Vec<&Probe> = probes.iter().filter(|probe| probe.plan == plan).collect();
        let attached = of_plan.iter().filter(|probe| probe.attached).count();
        println!("plan        {plan}: {attached} of {} probes attached", of_plan.len());
        let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for probe in of_plan {
            if let Some(why) = &probe.reason {
                missing.entry(why).or_default().push(&probe.hook);
            }
        }
        for (why, hooks) in missing {
            println!("   not      {}\n            {why}", hooks.join(", "));
        }
    }
}
