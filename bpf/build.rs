//! Compiles the eBPF programs with clang and writes their Rust skeleton. It reads nothing of the build host's kernel.

use libbpf_cargo::SkeletonBuilder;
use std::{env, path::PathBuf};

fn main() {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for name in ["argus", "trial"] {
        SkeletonBuilder::new()
            .source(format!("programs/{name}.bpf.c"))
            .obj(folder.join(format!("{name}.bpf.o")))
            .clang_args(["-Wall", "-Werror", "-mcpu=v3", "-D__TARGET_ARCH_x86"])
            .build_and_generate(folder.join(format!("{name}.skel.rs")))
            .unwrap_or_else(|error| {
                panic!(
                    "the eBPF programs do not compile: {error:#}\nThey need clang 14 or later, and libelf and zlib \
                     headers."
                )
            });
    }
    println!("cargo:rerun-if-changed=programs");
}
