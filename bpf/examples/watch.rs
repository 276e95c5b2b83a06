//! Follows one command and prints what the kernel says of it: the quickest look at the raw stream.
//! `sudo watch CMD...`

use argus_bpf::{Ask, Probes, decode};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut probes = Probes::load(1 << 24, Ask::Everything)?;
    let mut arguments = std::env::args_os().skip(1);
    let mut command = std::process::Command::new(arguments.next().ok_or("name a command")?);
    // SAFETY: does nothing; its presence makes the standard library fork instead of posix_spawn, which the probes
    // would follow just as well.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, || Ok(())) };
    probes.follow_children(true)?;
    let child = command.args(arguments).spawn();
    probes.follow_children(false)?;
    child?.wait()?;
    probes.sweep_all()?;
    loop {
        let live = probes.live();
        let mut any = false;
        probes.poll(Duration::from_millis(100), &mut |bytes| {
            any = true;
            match decode(bytes) {
                Ok((record, _)) => println!("{record:?}"),
                Err(error) => println!("{error}"),
            }
        })?;
        if live == 0 && !any {
            break;
        }
    }
    eprintln!("{:?}", probes.losses());
    Ok(())
}
