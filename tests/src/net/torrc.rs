//! The configuration files: one `torrc` per relay, the lines a C `tor` client needs, and Arti's TOML.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;

use super::Shape;
use super::relay::{Kind, Relay};

/// What a C `tor` client or onion service needs to use this network.
pub(super) fn client(address: Ipv4Addr, relays: &[Relay]) -> String {
    let mut text = String::from("TestingTorNetwork 1\nEnforceDistinctSubnets 0\n");
    for relay in relays.iter().filter(|relay| relay.kind == Kind::Authority) {
        let Relay { name, or_port, dir_port, keys, .. } = relay;
        let v3 = keys.v3.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "DirAuthority {name} orport={or_port} no-v2 v3ident={v3} {address}:{dir_port} {}",
            keys.rsa
        );
    }
    let _ = writeln!(text, "__OwningControllerProcess {}", std::process::id());
    text
}

/// The whole `torrc` of one relay. The first votes are `first_interval` seconds apart.
pub(super) fn relay(
    shape: &Shape,
    relays: &[Relay],
    relay: &Relay,
    resolver: &Path,
    first_interval: u64,
) -> String {
    let Relay { name, folder, or_port, own_port, .. } = relay;
    let (address, folder) = (shape.address, folder.display());
    let ports = if or_port == own_port {
        format!("ORPort {address}:{or_port} IPv4Only")
    } else {
        format!(
            "ORPort {address}:{or_port} NoListen IPv4Only\nORPort {address}:{own_port} NoAdvertise IPv4Only"
        )
    };
    let common = client(address, relays);
    // Without the country tables a relay starts in a quarter of the time.
    let role = match relay.kind {
        Kind::Authority => authority(shape, relay, first_interval),
        Kind::Middle => "ExitRelay 0\nExitPolicy reject *:*\n".to_owned(),
        Kind::Exit => exit(resolver),
    };
    format!(
        "{common}Nickname {name}\nDataDirectory {folder}\nLog notice file {folder}/tor.log\n\
         GeoIPFile {folder}/empty\nGeoIPv6File {folder}/empty\n{ports}\nAddress {address}\nOutboundBindAddress {address}\n{RELAY}{role}"
    )
}

fn authority(shape: &Shape, relay: &Relay, first_interval: u64) -> String {
    let steady = shape.interval_s;
    let (first_delay, steady_delay) = (vote_delay(first_interval), vote_delay(steady));
    let (address, dir_port) = (shape.address, relay.dir_port);
    // Arti takes the length of an onion service period from here; C tor takes 24 voting intervals. Both must agree.
    let period_minutes = (24 * steady / 60).max(5);
    format!(
        "DirPort {address}:{dir_port} IPv4Only\n{AUTHORITY}\
         V3AuthVotingInterval {steady}\nV3AuthVoteDelay {steady_delay}\nV3AuthDistDelay {steady_delay}\n\
         TestingV3AuthInitialVotingInterval {first_interval}\nTestingV3AuthInitialVoteDelay {first_delay}\n\
         TestingV3AuthInitialDistDelay {first_delay}\n\
         ConsensusParams {PARAMETERS} hsdir_interval={period_minutes} {}\n",
        shape.parameters
    )
}

fn exit(resolver: &Path) -> String {
    format!(
        "ExitRelay 1\nIPv6Exit 1\nExitPolicyRejectPrivate 0\nExitPolicy accept 127.0.0.0/8:*\nExitPolicy accept *:*\n\
         ServerDNSResolvConfFile {}\nServerDNSDetectHijacking 0\nServerDNSAllowBrokenConfig 1\n",
        resolver.display()
    )
}

/// Seconds the authorities take for each half of a vote.
pub(super) fn vote_delay(interval: u64) -> u64 {
    (interval / 5).clamp(2, if interval <= 30 { 4 } else { 10 })
}

/// What Arti needs to use this network: the `tor_network`, `path_rules` and `address_filter` sections.
pub(super) fn arti(address: Ipv4Addr, relays: &[Relay]) -> String {
    let mut text = String::from("[tor_network]\nfallback_caches = [\n");
    for Relay { keys, or_port, .. } in relays {
        let _ = writeln!(
            text,
            "  {{ rsa_identity = \"{}\", ed_identity = \"{}\", orports = [\"{address}:{or_port}\"] }},",
            keys.rsa, keys.ed25519
        );
    }
    let authorities = || relays.iter().filter(|relay| relay.kind == Kind::Authority);
    let idents = authorities().filter_map(|relay| relay.keys.v3.as_ref());
    let idents = idents.map(|v3| format!("\"{v3}\"")).collect::<Vec<_>>().join(", ");
    let urls = authorities().map(|relay| format!("[\"{address}:{}\"]", relay.dir_port));
    let urls = urls.collect::<Vec<_>>().join(", ");
    let _ = write!(
        text,
        "]\n\n[tor_network.authorities]\nv3idents = [{idents}]\nuploads = [{urls}]\ndownloads = [{urls}]\n\
         votes = [{urls}]\n\n[path_rules]\nipv4_subnet_family_prefix = 33\nipv6_subnet_family_prefix = 129\n\n\
         [address_filter]\nallow_local_addrs = true\nallow_resolving_local_addrs = true\n"
    );
    text
}

const RELAY: &str = "\
SocksPort 0
RunAsDaemon 0
ShutdownWaitLength 0
SafeLogging 0
ProtocolWarnings 1
LogTimeGranularity 1
ConnLimit 60
PathsNeededToBuildCircuits 0.67
AssumeReachable 1
ContactInfo private network
PublishServerDescriptor 1
NumCPUs 1
MaxMemInQueues 256 MB
DirCache 1
ExtendAllowPrivateAddresses 1
BandwidthRate 1 GBytes
BandwidthBurst 1 GBytes
";

const AUTHORITY: &str = "\
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
V3AuthNIntervalsValid 3
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
MinUptimeHidServDirectoryV2 0
AuthDirMaxServersPerAddr 0
AuthDirTestReachability 0
ExitPolicy reject *:*
";

/// Congestion control as the public network's consensus of 2026 has it. And no circuit is given up within 10 s: on
/// loopback Arti learns that circuits take some 80 ms (the consensus allows down to 10), and the first busy moment of the
/// machine then fails every circuit it builds, and with them its guards, for minutes.
const PARAMETERS: &str = "cc_alg=2 cc_cwnd_full_gap=4 cc_cwnd_full_minpct=25 cc_cwnd_inc=1 cc_cwnd_inc_rate=31 \
     cc_cwnd_min=124 cc_sscap_exit=600 cc_sscap_onion=475 cc_vegas_alpha_exit=186 cc_vegas_beta_onion=372 \
     cc_vegas_delta_exit=310 cc_vegas_delta_onion=434 cc_vegas_gamma_onion=248 KISTSchedRunInterval=3 \
     circ_max_cell_queue_size=50000 sendme_emit_min_version=1 cbtmintimeout=10000";
