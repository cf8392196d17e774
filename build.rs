//! Hands the linker its script, says in words what is missing, and stamps version and commit.

use std::path::Path;
use std::process::{Command, exit};

/// Where Debian's musl-tools keeps musl's start files and gcc's specs for them.
const MUSL_SPECS: &str = "/usr/lib/x86_64-linux-musl/musl-gcc.specs";

fn main() {
    stamp();
    let root = env("CARGO_MANIFEST_DIR");
    println!("cargo:rerun-if-changed=linker/static.ld");
    println!("cargo:rerun-if-changed=build.rs");

    match (env("CARGO_CFG_TARGET_OS").as_str(), env("CARGO_CFG_TARGET_ENV").as_str()) {
        // rustc brings musl's start files and libc.a itself.
        ("linux", "musl") => {}
        // The fallback without rustup's target: the program holds no std, so glibc's target will do for
        // its code, and gcc links musl by specs. Only this executable: build scripts and tests keep glibc.
        ("linux", "gnu") if env("TARGET") == "x86_64-unknown-linux-gnu" => {
            if !Path::new(MUSL_SPECS).exists() {
                refuse(&format!("{MUSL_SPECS} is missing: install Debian's musl-tools"));
            }
            link(&format!("-specs={MUSL_SPECS}"));
        }
        // The same with a cross compiler, or a bare linker. MUSL says where musl-dev of that architecture was unpacked.
        ("linux", "gnu") => {
            println!("cargo:rerun-if-env-changed=MUSL");
            let musl = std::env::var("MUSL")
                .unwrap_or_else(|_| format!("/usr/lib/{}-linux-musl", env("CARGO_CFG_TARGET_ARCH")));
            if !Path::new(&musl).join("crt1.o").exists() {
                refuse(&format!(
                    "{musl}/crt1.o is missing: unpack musl-dev of that architecture, and set MUSL"
                ));
            }
            link("-nostdlib");
            link(&format!("-L{musl}"));
            ["crt1.o", "crti.o", "crtn.o"].iter().for_each(|file| link(&format!("{musl}/{file}")));
        }
        _ => refuse(&format!("the target {} has no musl", env("TARGET"))),
    }

    // Stated, because a link that falls back to a dynamic executable does so silently.
    link("-static");
    link("-no-pie");
    // Behind the Rust libraries, which want its mem* functions: rustc puts it before them.
    link("-lc");
    // core's unwinding tables name it; nothing here unwinds.
    to_ld("--defsym=rust_eh_personality=0");
    to_ld(&format!("-T{root}/linker/static.ld"));
    to_ld("--build-id=none");
    to_ld("--no-eh-frame-hdr");
    to_ld("-znorelro");
    to_ld(match env("CARGO_CFG_TARGET_ARCH").as_str() {
        // arm64 kernels may use pages of 64 KB.
        "aarch64" => "-zmax-page-size=65536",
        _ => "-zmax-page-size=4096",
    });
}

/// `MINIRUNC_COMMIT`: from the environment, else from git with `-dirty` where tracked files differ,
/// else `unknown` (a source archive).
fn stamp() {
    println!("cargo:rerun-if-env-changed=MINIRUNC_COMMIT");
    for file in ["HEAD", "logs/HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    for source in ["Cargo.toml", "src", "nsenter"] {
        println!("cargo:rerun-if-changed={source}");
    }
    let commit = std::env::var("MINIRUNC_COMMIT").ok().or_else(|| {
        let mut commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        if !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
            commit.push_str("-dirty");
        }
        Some(commit)
    });
    println!("cargo:rustc-env=MINIRUNC_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn link(argument: &str) {
    println!("cargo:rustc-link-arg-bins={argument}");
}

/// An argument for ld itself, which the compiler driver passes on, where there is one.
fn to_ld(argument: &str) {
    if env("RUSTC_LINKER").ends_with("lld") { link(argument) } else { link(&format!("-Wl,{argument}")) }
}

fn refuse(reason: &str) -> ! {
    eprintln!("minirunc-static: cannot link statically: {reason}");
    eprintln!("  either: rustup target add x86_64-unknown-linux-musl   (then: cargo build --release)");
    eprintln!(
        "  or:     apt-get install musl-tools   (then: CARGO_BUILD_TARGET=x86_64-unknown-linux-gnu cargo build --release)"
    );
    exit(1);
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
