//! What this process may still ask of the kernel: seccomp(2) and landlock(7). Neither can be taken back.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::libc;
use nix::sys::prctl;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

/// What landlock is asked for: as much of it as the kernel has.
const WANTED: ABI = ABI::V6;

/// System calls that a node has no use for, and an intruder has: into other processes, the kernel, mounts, namespaces,
/// clocks, keys, and the ones whose history is worst. They fail with EPERM.
const DENIED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mknodat,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// The same, of one kind of machine only.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[libc::c_long] = &[
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_kexec_file_load,
    libc::SYS_mknod,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[libc::c_long] = &[KEXEC_FILE_LOAD];

/// Its number in the kernel's list for all newer machines (`asm-generic/unistd.h`), which the C library's lacks.
#[cfg(not(target_arch = "x86_64"))]
const KEXEC_FILE_LOAD: libc::c_long = 294;

/// Sockets that a node may open: to programs on this machine, and IP. Netlink tells it its own addresses.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// What the file system looks like to a process that gave up the rest.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// Files and folders it may read.
    pub read: Vec<PathBuf>,
    /// Folders it may read and write.
    pub write: Vec<PathBuf>,
    /// Programs it may run.
    pub run: Vec<PathBuf>,
}

/// From now on no program that this process runs can have more rights than it.
pub fn no_new_privileges() -> io::Result<()> {
    Ok(prctl::set_no_new_privs()?)
}

/// Denies [`DENIED`] system calls and odd sockets to all threads, now and later.
pub fn deny_calls() -> io::Result<()> {
    let program = calls().map_err(io::Error::other)?;
    apply_filter_all_threads(&program).map_err(io::Error::other)
}

fn calls() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().chain(DENIED_HERE).map(|call| (*call, Vec::new())).collect();
    let other = |family: &libc::c_int| {
        let family = u64::from(family.unsigned_abs());
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
    };
    let strange = FAMILIES.iter().map(other).collect::<Result<Vec<_>, _>>()?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(strange)?]);
    let eperm = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, eperm, arch)?.try_into()
}

/// Takes everything but `sight` out of reach. `false` if this kernel has no landlock, or a container hides it.
pub fn narrow(sight: &Sight) -> io::Result<bool> {
    let all = AccessFs::from_all(WANTED) & !AccessFs::Execute;
    let read = AccessFs::from_read(WANTED) & !AccessFs::Execute;
    let run = AccessFs::from_read(WANTED);
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))
        .and_then(|rules| rules.scope(Scope::from_all(WANTED)))
        .and_then(Ruleset::create);
    let mut rules = made.map_err(io::Error::other)?;
    for (paths, rights) in [(&sight.read, read), (&sight.write, all), (&sight.run, run)] {
        for path in paths {
            rules = allow(rules, path, rights).map_err(io::Error::other)?;
        }
    }
    let status = rules.restrict_self().map_err(io::Error::other)?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// What does not exist needs no rule.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else { return Ok(rules) };
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(WANTED) };
    rules.add_rule(PathBeneath::new(opened, rights))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::scratch::Scratch;

    /// On a thread of its own, since there is no way back.
    fn apart<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(test).join().unwrap()
    }

    fn errno(call: impl FnOnce() -> libc::c_long) -> i32 {
        assert_eq!(call(), -1);
        io::Error::last_os_error().raw_os_error().unwrap()
    }

    #[test]
    fn denied_calls_fail_and_the_rest_works() {
        apart(|| {
            no_new_privileges().unwrap();
            seccompiler::apply_filter(&calls().unwrap()).unwrap();
            // SAFETY: both calls fail before they look at their arguments.
            let denied = [
                errno(|| unsafe { libc::syscall(libc::SYS_unshare, 0) }),
                errno(|| unsafe { libc::syscall(libc::SYS_socket, libc::AF_PACKET, libc::SOCK_RAW, 0) }),
            ];
            assert_eq!(denied, [libc::EPERM; 2]);
            assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
            assert!(std::net::TcpListener::bind("[::1]:0").is_ok());
            assert!(std::thread::spawn(|| ()).join().is_ok());
            assert!(std::process::Command::new("true").status().is_ok());
            assert!(fs::read("/proc/self/status").is_ok());
        });
    }

    #[test]
    fn what_is_out_of_sight_cannot_be_opened() {
        let scratch = Scratch::new("sandbox");
        let folder = scratch.path().to_owned();
        for name in ["mine", "seen", "hidden"] {
            fs::create_dir(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("file"), "x").unwrap();
        }
        apart(move || {
            let sight = Sight {
                read: vec![folder.join("seen"), folder.join("missing")],
                write: vec![folder.join("mine")],
                run: vec![],
            };
            no_new_privileges().unwrap();
            if !narrow(&sight).unwrap() {
                return;
            }
            assert!(fs::write(folder.join("mine/new"), "x").is_ok());
            assert!(fs::rename(folder.join("mine/new"), folder.join("mine/other")).is_ok());
            assert!(fs::read(folder.join("seen/file")).is_ok());
            assert!(fs::write(folder.join("seen/file"), "x").is_err());
            assert!(fs::read(folder.join("hidden/file")).is_err());
            assert!(std::process::Command::new("/bin/true").status().is_err());
        });
    }
}
