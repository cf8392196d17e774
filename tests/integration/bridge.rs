//! The annotation `org.minirunc.network`. Bridges are made in a network namespace of the test's own, where the runtime runs, too.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use minirunc_tests::bundle::Bundle;
use minirunc_tests::network::Network;
use minirunc_tests::runtime::Output;
use minirunc_tests::{only_ours, skip};
use serde_json::json;

use crate::killed;

/// A bundle with this network, in a namespace with no link but `lo`.
pub fn bundle(value: &str) -> Option<Bundle> {
    let network = Network::new();
    // Asked of another one: here it would be in the way.
    if !Network::new().add_bridge(c"b0") {
        return None;
    }
    let mut bundle = Bundle::new();
    bundle.network = Some(network);
    ask(&mut bundle, value);
    Some(bundle)
}

macro_rules! bundle {
    ($value:expr) => {{
        only_ours!("an annotation of its own");
        match bundle($value) {
            Some(bundle) => bundle,
            None => skip!("no bridges in this kernel"),
        }
    }};
}

fn ask(bundle: &mut Bundle, value: &str) {
    bundle.config["annotations"] = json!({"org.minirunc.network": value});
}

fn links(bundle: &Bundle) -> Vec<String> {
    bundle.network.as_ref().expect("network").links()
}

/// The id of one of several containers of a bundle.
fn id(bundle: &Bundle, name: &str) -> String {
    format!("{}-{name}", bundle.id)
}

/// Another container of this bundle, detached.
fn run(bundle: &Bundle, name: &str) -> Output {
    bundle.write();
    let dir = bundle.dir.to_str().expect("utf-8");
    bundle.runtime(&["run", "--detach", "--bundle", dir, &id(bundle, name)])
}

#[track_caller]
fn delete(bundle: &Bundle, name: &str) {
    bundle.runtime(&["delete", "--force", &id(bundle, name)]).ok();
}

/// The address of a container that runs.
fn address(bundle: &Bundle, name: &str) -> String {
    let lease = bundle.state().join(id(bundle, name)).join("lease");
    std::fs::read_link(lease).expect("lease").to_str().expect("utf-8").to_string()
}

fn pid(bundle: &Bundle, name: &str) -> i32 {
    let state = bundle.runtime(&["state", &id(bundle, name)]);
    let state: serde_json::Value = serde_json::from_str(&state.ok().stdout).expect("state");
    i32::try_from(state["pid"].as_i64().expect("pid")).expect("pid")
}

#[test]
fn a_container_on_a_bridge_has_an_address_a_way_out_and_its_links_up() {
    let bundle =
        bundle!("bridge").ask(&["links", "read /proc/net/route", "read /sys/class/net/eth0/address"]);
    let facts = bundle.facts();
    assert_eq!(&facts["links"], "eth0 172.18.0.2/16 up, lo 127.0.0.1/8 up");
    let routes: Vec<_> = facts["read /proc/net/route"].lines().skip(1).collect();
    let route = |words: &[&str]| routes.iter().any(|line| line.split('\t').take(3).eq(words.iter().copied()));
    assert!(
        route(&["eth0", "00000000", &format!("{:08X}", u32::from_ne_bytes([172, 18, 0, 1]))]),
        "{routes:?}"
    );
    assert_eq!(routes.len(), 2, "{routes:?}");
    assert_eq!(facts["read /sys/class/net/eth0/address"].trim(), "02:6d:ac:12:00:02");
    assert_eq!(links(&bundle), ["lo", "minirunc0"], "the bridge stays");
}

#[test]
fn name_address_and_gateway_are_as_they_are_asked_for() {
    let bundle = bundle!("bridge,gateway=10.1.2.254,address=10.1.2.7/24,name=some.br").ask(&["links"]);
    assert_eq!(&bundle.facts()["links"], "eth0 10.1.2.7/24 up, lo 127.0.0.1/8 up");
    assert_eq!(links(&bundle), ["lo", "some.br"]);
}

#[test]
fn the_gateway_is_the_first_of_the_addresss_subnet() {
    let bundle = bundle!("bridge,address=10.1.2.200/25").ask(&["read /proc/net/route"]);
    let gateway = format!("{:08X}", u32::from_ne_bytes([10, 1, 2, 129]));
    assert!(bundle.facts()["read /proc/net/route"].contains(&gateway));
}

#[test]
fn containers_on_one_bridge_reach_each_other_and_the_bridge() {
    let bundle = bundle!("bridge").ask(&["sleep 60000"]);
    run(&bundle, "one").ok();
    let one = pid(&bundle, "one");
    assert!(links(&bundle).contains(&format!("vhost-{one}")));
    let listen =
        |network: &Network, address: &str| network.within(|| TcpListener::bind(address).expect("bind"));
    let host = bundle.network.clone().expect("network");
    let _there = listen(&Network::of(one), "172.18.0.2:7");
    let _here = listen(&host, "172.18.0.1:7");
    host.within(|| TcpStream::connect("172.18.0.2:7").expect("from the host"));
    let bundle = bundle.ask(&[
        "connect 172.18.0.2:7",
        "connect 172.18.0.1:7",
        "connect 127.0.0.1:7",
        "connect 10.0.0.1:7",
    ]);
    bundle.write();
    let facts = bundle.start(bundle.run_command(&[])).finish().facts();
    assert_eq!(&facts["connect 172.18.0.2:7"], "ok");
    assert_eq!(&facts["connect 172.18.0.1:7"], "ok");
    assert_eq!(&facts["connect 127.0.0.1:7"], "!ECONNREFUSED");
    assert_ne!(&facts["connect 10.0.0.1:7"], "ok");
    delete(&bundle, "one");
    bundle.nothing_left();
}

#[test]
fn an_address_is_leased_to_one_container_and_given_back_on_delete() {
    let mut bundle = bundle!("bridge").ask(&["sleep 60000"]);
    for (name, expected) in [("one", "172.18.0.2"), ("two", "172.18.0.3"), ("three", "172.18.0.4")] {
        run(&bundle, name).ok();
        assert_eq!(address(&bundle, name), expected);
    }
    delete(&bundle, "two");
    run(&bundle, "four").ok();
    assert_eq!(address(&bundle, "four"), "172.18.0.3", "the lowest that is free");
    ask(&mut bundle, "bridge,address=172.18.0.4/16");
    run(&bundle, "five").refused(&["org.minirunc.network", "172.18.0.4 is leased to", &id(&bundle, "three")]);
    delete(&bundle, "three");
    run(&bundle, "five").ok();
    for name in ["one", "four", "five"] {
        delete(&bundle, name);
    }
    bundle.nothing_left();
}

#[test]
fn containers_that_come_at_once_have_different_addresses() {
    let bundle = bundle!("bridge").ask(&["sleep 60000"]);
    bundle.write();
    let dir = bundle.dir.to_str().expect("utf-8");
    let names = ["1", "2", "3", "4", "5", "6", "7", "8"];
    let command = |name| bundle.command(&["run", "--detach", "--bundle", dir, &id(&bundle, name)]);
    let all = names.map(|name| bundle.start(command(name)));
    all.into_iter().for_each(|running| _ = running.finish().ok());
    let addresses = BTreeSet::from(names.map(|name| address(&bundle, name)));
    assert_eq!(addresses.len(), names.len(), "{addresses:?}");
    names.iter().for_each(|name| delete(&bundle, name));
    bundle.nothing_left();
}

#[test]
fn a_subnet_without_a_free_address_is_refused_by_name() {
    let bundle = bundle!("bridge,gateway=10.0.0.5/30").ask(&["sleep 60000"]);
    run(&bundle, "one").ok();
    assert_eq!(address(&bundle, "one"), "10.0.0.6");
    run(&bundle, "two").refused(&["org.minirunc.network", "no address of 10.0.0.4/30 is free"]);
    delete(&bundle, "one");
    bundle.nothing_left();
}

#[test]
fn a_bridge_that_is_none_or_has_another_address_is_refused() {
    let mut bundle = bundle!("bridge,name=lo");
    bundle.run().refused(&["org.minirunc.network", "lo", "is no bridge"]);
    ask(&mut bundle, "bridge,gateway=10.0.0.1/24");
    bundle.run().ok();
    for other in ["bridge", "bridge,gateway=10.0.0.2/24", "bridge,gateway=10.0.0.1/16"] {
        ask(&mut bundle, other);
        bundle.run().refused(&["org.minirunc.network", "minirunc0", "has the address 10.0.0.1/24"]);
    }
    assert_eq!(links(&bundle), ["lo", "minirunc0"]);
}

/// As its maker leaves it who was killed.
#[test]
fn a_bridge_without_an_address_gets_it_and_is_set_up() {
    let bundle = bundle!("bridge").ask(&["connect 172.18.0.1:7"]);
    let host = bundle.network.clone().expect("network");
    assert!(host.add_bridge(c"minirunc0"));
    assert_eq!(&bundle.facts()["connect 172.18.0.1:7"], "!ECONNREFUSED");
}

#[test]
fn none_and_host_have_to_agree_with_the_namespaces() {
    let mut bundle = bundle!("none").ask(&["links"]);
    assert_eq!(&bundle.facts()["links"], "lo 127.0.0.1/8 up");
    ask(&mut bundle, "host");
    bundle.run().refused(&["org.minirunc.network", "network namespace"]);
    bundle.drop_namespace("network");
    bundle.drop_mount("/sys");
    assert_eq!(&bundle.facts()["links"], "");
    for mode in ["none", "bridge"] {
        ask(&mut bundle, mode);
        bundle.run().refused(&["org.minirunc.network", "network namespace"]);
    }
    bundle.add_namespace(json!({"type": "network", "path": "/proc/1/ns/net"}));
    bundle.run().refused(&["org.minirunc.network", "network namespace"]);
}

#[test]
fn a_value_that_means_nothing_is_refused_by_the_annotations_name() {
    let mut bundle = bundle!("bridge");
    for value in [
        "bridges",
        "none,",
        "path=/run/netns/x",
        "bridge,",
        "bridge,nam=x",
        "bridge,name=",
        "bridge,name=a/b",
        "bridge,name=br%d",
        "bridge,name=sixteen-letters-",
        "bridge,address=1.2.3/16",
        "bridge,address=172.18.0.2/7",
        "bridge,address=172.18.0.2/31",
        "bridge,address=172.18.0.2/24,gateway=172.18.0.1/16",
        "bridge,address=172.19.0.2/16,gateway=172.18.0.1",
        "bridge,address=172.18.0.1/16",
        "bridge,address=172.18.0.0/16",
        "bridge,address=172.18.255.255/16",
        "bridge,gateway=172.18.0.0",
    ] {
        ask(&mut bundle, value);
        bundle.run().refused(&["annotations.org.minirunc.network: "]);
    }
    assert_eq!(links(&bundle), ["lo"]);
}

#[test]
fn an_ordinary_user_is_told_what_a_bridge_takes() {
    let mut bundle = bundle!("bridge").unprivileged(1000);
    bundle.drop_mount("/sys");
    bundle.run().refused(&["org.minirunc.network", "CAP_NET_ADMIN"]);
}

#[test]
fn a_container_in_a_user_namespace_is_connected_too() {
    let mut bundle = bundle!("bridge").ask(&["links"]);
    bundle.add_namespace(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    assert_eq!(&bundle.facts()["links"], "eth0 172.18.0.2/16 up, lo 127.0.0.1/8 up");
}

#[test]
fn a_create_that_fails_behind_it_leaves_neither_link_nor_lease() {
    let mut bundle = bundle!("bridge,gateway=10.0.0.1/30");
    bundle.config["hooks"] = json!({"prestart": [{"path": "/bin/false"}]});
    // Only one address is there: the second would not be told of the hook.
    for _ in 0..2 {
        bundle.run().refused(&["prestart"]);
    }
}

#[test]
fn delete_takes_the_link_of_a_namespace_that_somebody_holds() {
    let bundle = bundle!("bridge").ask(&["sleep 60000"]);
    run(&bundle, "one").ok();
    let held = Network::of(pid(&bundle, "one"));
    delete(&bundle, "one");
    assert_eq!(links(&bundle), ["lo", "minirunc0"]);
    assert_eq!(held.links(), ["lo"]);
    bundle.nothing_left();
}

/// There is one address: a lease that were left would have the next one refused.
#[test]
fn a_create_killed_at_any_of_its_calls_leaves_no_link_and_no_lease() {
    let bundle = bundle!("bridge,gateway=10.0.0.1/30");
    let calls = killed::every_create(&bundle);
    assert!(calls > 80, "{calls}");
}

#[test]
fn a_delete_killed_at_any_of_its_calls_gives_link_and_lease_back_when_done_again() {
    let bundle = bundle!("bridge,gateway=10.0.0.1/30").ask(&["sleep 60000"]);
    let calls = killed::every_delete(&bundle);
    assert!(calls > 20, "{calls}");
}
