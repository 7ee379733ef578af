//! Blobs through real hubs: tus clients that others wrote, curl, kills in mid transfer, and whatever is no good.

#[path = "../support/mod.rs"]
mod support;

mod bad;
mod client;
mod http;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::{Answer, TUS, call, head_of, patch, upload};
use inbetweenies_core::blob::BlobId;
use inbetweenies_core::rng::Rng;
use serde_json::{Value, json};
use support::{HubProcess, checkout, home, wait_for};

const MIB: usize = 1 << 20;

/// Bytes that nothing packs.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, 1);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.draw().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A record that refers to a blob is pushed to a hub.
pub fn refer(hub: &HubProcess, name: &str, id: BlobId, size: usize, content_type: &str) {
    let content = json!({"blob_id": id.to_string(), "size": size, "content_type": content_type, "file_name": "größe.pdf"});
    let body = json!({
        "protocol_version": "inbetweenies-v2", "device_id": "test",
        "changes": [{"entity": {
            "id": name, "version": format!("2026-06-15T09:41:02.000001+00:00-000001-{name}"), "entity_type": "blob",
            "name": name, "content": content,
        }}],
    });
    let headers = [("Content-Type", "application/json")];
    let answer = call(hub, "POST", "/api/v2/sync", &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What a hub says that it holds of a blob; null if it does not know it.
pub fn status(hub: &HubProcess, id: BlobId) -> Value {
    let answer = call(hub, "GET", &format!("/api/v2/blobs/{id}/status"), &[], b"");
    if answer.status == 200 {
        answer.json()
    } else {
        Value::Null
    }
}

/// Waits until a hub holds all of a blob.
pub fn wait_whole(hub: &HubProcess, id: BlobId) {
    wait_for("a blob to be whole", || {
        (status(hub, id)["held"] == "whole").then_some(())
    });
}

fn transfer(hub: &HubProcess) -> Value {
    call(hub, "GET", "/api/v2/status", &[], b"").json()["blob_transfer"].clone()
}

#[test]
fn a_blob_is_uploaded_in_pieces_and_read_in_ranges_elsewhere() {
    let hubs = home(2);
    let bytes = noise(5 * MIB + 3, 1);
    let id = BlobId::of(&bytes);
    refer(&hubs[0], "manual", id, bytes.len(), "application/pdf");
    let place = upload(&hubs[0], bytes.len(), None);
    let mut offset = 0;
    for piece in bytes.chunks(1_500_000) {
        let answer = patch(&hubs[0], &place, offset, piece);
        offset += piece.len();
        assert_eq!(
            (answer.status, answer.header("upload-offset")),
            (204, offset.to_string())
        );
        let told = call(&hubs[0], "HEAD", &place, &TUS, b"");
        assert_eq!(told.header("upload-offset"), offset.to_string());
    }
    assert_eq!(
        call(&hubs[0], "HEAD", &place, &TUS, b"").header("blob-id"),
        id.to_string()
    );
    let path = format!("/api/v2/blobs/{id}");
    // Nobody waited for it to be there: the other hub fetches it while it is read.
    let whole = call(&hubs[1], "GET", &path, &[], b"");
    assert!(whole.status == 200 && whole.body == bytes);
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1048570-2097160", 1_048_570, 2_097_161),
        ("bytes=-7", bytes.len() - 7, bytes.len()),
        ("bytes=5242880-", 5_242_880, bytes.len()),
    ] {
        let part = call(&hubs[1], "GET", &path, &[("Range", range)], b"");
        assert!(
            part.status == 206 && part.body == bytes[from..to],
            "{range}: {}",
            part.status
        );
        let told = format!("bytes {from}-{}/{}", to - 1, bytes.len());
        assert_eq!(part.header("content-range"), told);
    }
    let etag = whole.header("etag");
    assert_eq!(etag, format!("\"{id}\""));
    assert_eq!(
        call(&hubs[1], "GET", &path, &[("If-None-Match", &etag)], b"").status,
        304
    );
    let other = [("If-Range", "\"other\""), ("Range", "bytes=0-0")];
    assert_eq!(call(&hubs[1], "GET", &path, &other, b"").status, 200);
    let beyond = call(&hubs[1], "GET", &path, &[("Range", "bytes=99999999-")], b"");
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, format!("bytes */{}", bytes.len()))
    );
    let head = call(&hubs[1], "HEAD", &path, &[], b"");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, bytes.len().to_string())
    );
    assert_eq!(head.header("content-type"), "application/pdf");
    assert!(
        head.header("content-disposition")
            .contains("filename*=UTF-8''gr%C3%B6%C3%9Fe.pdf")
    );
    assert!(head.header("digest").starts_with("sha-256=") && head.header("accept-ranges") == "bytes");
}

/// Bits flip on a hub's disk, in a photo that nobody looks at; and another one's file ends too early, so that none of its three
/// chunks can be read.
#[test]
fn what_rots_unread_is_found_told_and_fetched_again() {
    let founder = HubProcess::with_config("kitchen", "[mesh]\nfound = true\n");
    let config = format!(
        "[mesh]\nseeds = [\"{}\"]\n[blobs]\ncheck_period = \"2s\"\n",
        founder.address()
    );
    let attic = HubProcess::with_config("attic", &config);
    let bytes = [noise(4 * MIB, 7), noise(2 * MIB + 5, 8)];
    let ids = [0, 1].map(|n| {
        let id = BlobId::of(&bytes[n]);
        refer(&founder, &format!("photo-{n}"), id, bytes[n].len(), "image/jpeg");
        let place = upload(&founder, bytes[n].len(), None);
        assert_eq!(patch(&founder, &place, 0, &bytes[n]).status, 204);
        wait_whole(&attic, id);
        id
    });
    let file = |n: usize| {
        let name = ids[n].to_string();
        let path = attic.data().join("blobs").join(&name[..2]).join(name);
        fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
    };
    let flipped = [!bytes[0][MIB + 9]];
    file(0).write_all_at(&flipped, MIB as u64 + 9).unwrap();
    file(1).set_len(MIB as u64 + 3).unwrap();
    wait_for("the damage to be found", || {
        (transfer(&attic)["damaged_chunks"].as_u64() >= Some(4)).then_some(())
    });
    for id in ids {
        wait_whole(&attic, id);
    }
    let told = call(&attic, "GET", "/api/v2/status", &[], b"").json();
    let events = told["events"].as_array().unwrap();
    assert!(
        events
            .iter()
            .any(|row| row["code"] == "DAMAGE" && row["detail"].to_string().contains(&ids[0].to_string())),
        "{events:?}"
    );
    let mut byte = [0];
    file(0).read_exact_at(&mut byte, MIB as u64 + 9).unwrap();
    assert_eq!(byte[0], bytes[0][MIB + 9], "the file itself is mended");
    for n in [0, 1] {
        let read = call(&attic, "GET", &format!("/api/v2/blobs/{}", ids[n]), &[], b"");
        assert!(read.status == 200 && read.body == bytes[n]);
    }
    assert_eq!(transfer(&founder)["damaged_chunks"], 0);
}

#[test]
fn a_text_is_packed_for_whoever_asks_and_on_disk() {
    let hubs = home(1);
    let bytes = b"the same line, again and again\n".repeat(100_000);
    let id = BlobId::of(&bytes);
    refer(&hubs[0], "log", id, bytes.len(), "text/plain");
    let place = upload(&hubs[0], bytes.len(), None);
    assert_eq!(patch(&hubs[0], &place, 0, &bytes).status, 204);
    let path = format!("/api/v2/blobs/{id}");
    let packed = call(&hubs[0], "GET", &path, &[("Accept-Encoding", "gzip")], b"");
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(
        packed.body.len() < bytes.len() / 20,
        "{} bytes",
        packed.body.len()
    );
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut plain).unwrap();
    assert!(plain == bytes);
    assert!(call(&hubs[0], "GET", &path, &[], b"").body == bytes);
    let file = hubs[0]
        .data()
        .join("blobs")
        .join(&id.to_string()[..2])
        .join(id.to_string());
    let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(file).unwrap());
    assert!(blocks * 512 < bytes.len() as u64 / 4, "{blocks} blocks");
}

/// Hubs are killed in the midst again and again: all arrives, and next to nothing comes twice. `INBETWEENIES_KILLS=100` kills
/// more often.
#[test]
fn kills_in_mid_transfer_cost_next_to_nothing() {
    let kills: usize = std::env::var("INBETWEENIES_KILLS").map_or(12, |text| text.parse().unwrap());
    let mut hubs = home(2);
    let bytes = noise(192 * MIB, 3);
    let id = BlobId::of(&bytes);
    let place = upload(&hubs[0], bytes.len(), None);
    let mut offset = 0;
    for piece in bytes.chunks(32 * MIB) {
        assert_eq!(patch(&hubs[0], &place, offset, piece).status, 204);
        offset += piece.len();
    }
    refer(&hubs[0], "film", id, bytes.len(), "video/mp4");
    let (mut taken, mut done, mut in_midst) = (0, 0, 0);
    let mut rng = Rng::new(7, 7);
    while done < kills {
        let which = done % 2;
        let mut last = 0;
        for _ in 0..1 + rng.below(12) {
            last = transfer(&hubs[1])["taken_chunks"].as_u64().unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        let held = status(&hubs[1], id);
        in_midst += usize::from(held["held"] != "whole");
        if which == 1 {
            taken += last;
        }
        hubs[which].kill();
        hubs[which].restart();
        done += 1;
    }
    wait_whole(&hubs[1], id);
    let told = transfer(&hubs[1]);
    taken += told["taken_chunks"].as_u64().unwrap();
    println!(
        "{kills} kills, {in_midst} in mid transfer: {taken} chunks taken of {}, at the last start {} found",
        bytes.len() / MIB,
        told["found_chunks"]
    );
    let most = (bytes.len() / MIB + 4 * kills) as u64;
    assert!(taken <= most, "{taken} chunks came, {most} at most");
    assert_eq!(told["bad_chunks"], 0);
    let path = format!("/api/v2/blobs/{id}");
    assert!(call(&hubs[1], "GET", &path, &[], b"").body == bytes);
}

/// Where others' clients are installed, so that the next run need not.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("tus-clients")
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{}\n{}", text(&output.stdout), text(&output.stderr)))
    }
}

/// 64 MB to one hub, cut at 40 %, resumed there, fetched from another by curl in ranges: hashes are equal.
fn with_others_client(name: &str, start: impl Fn(&str, &Path, &str, &str) -> Command) {
    let hubs = home(2);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let bytes = noise(64_000_000, 11);
    let id = BlobId::of(&bytes);
    fs::write(&file, &bytes).unwrap();
    refer(&hubs[0], "manual", id, bytes.len(), "application/pdf");
    let place = run(&mut start(&hubs[0].url, &file, &id.to_string(), "start")).unwrap();
    let there = head_of(&hubs[0], &place);
    let offset: usize = there.header("upload-offset").parse().unwrap();
    println!("{name}: cut at {offset} of {}", bytes.len());
    assert!(offset < bytes.len());
    run(&mut start(&hubs[0].url, &file, &id.to_string(), &place)).unwrap();
    wait_whole(&hubs[1], id);
    let url = format!("{}/api/v2/blobs/{id}", hubs[1].url);
    let back = folder.path().join("back");
    let curl = |range: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--output"])
            .arg(&back)
            .args(range)
            .arg(&url);
        run(&mut curl)
    };
    match curl(&["--range", "0-19999999"]) {
        Err(error) if !error.contains("curl") && Command::new("curl").arg("--version").output().is_err() => {
            println!("SKIPPED: fetching with curl: it is not installed ({error})");
        }
        first => {
            first.unwrap();
            curl(&["--continue-at", "-"]).unwrap();
            assert!(fs::read(&back).unwrap() == bytes);
        }
    }
}

#[test]
fn tuspy_uploads_and_resumes() {
    let tools = tools().join("python");
    if !tools.join("tusclient").exists() {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
        ])
        .arg(&tools);
        if let Err(error) = run(pip.arg("tuspy==1.1.0")) {
            println!("SKIPPED: tuspy cannot be installed here: {error}");
            return;
        }
    }
    with_others_client("tuspy", |url, file, sha256, what| {
        let mut python = Command::new("python3");
        python.arg(checkout("tests/blobs/tuspy.py")).arg(url).arg(file);
        python.args([sha256, what]).env("PYTHONPATH", &tools);
        python
    });
}

#[test]
fn tus_js_client_uploads_and_resumes() {
    let tools = tools().join("node");
    let module = tools.join("node_modules/tus-js-client/lib.esm/node/index.js");
    if !module.exists() {
        fs::create_dir_all(&tools).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&tools);
        if let Err(error) = run(npm.arg("tus-js-client@4.3.1")) {
            println!("SKIPPED: tus-js-client cannot be installed here: {error}");
            return;
        }
    }
    with_others_client("tus-js-client", |url, file, sha256, what| {
        let mut node = Command::new("node");
        node.arg(checkout("tests/blobs/tus.mjs"))
            .arg(&module)
            .arg(url)
            .arg(file);
        node.args([sha256, what]);
        node
    });
}

/// For [`bad`].
pub fn answer_code(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    (answer.status, code)
}

/// The bug: a hub that was killed between the last byte of an upload and the blob told the client that all had come, and a
/// client that hears that sends no more.
#[test]
fn an_upload_that_a_kill_left_full_becomes_a_blob_when_it_is_asked_for() {
    let mut hub = HubProcess::found("kitchen");
    for (seed, len) in [(21, 3_000), (22, 2 * MIB + 5)] {
        let bytes = noise(len, seed);
        let id = BlobId::of(&bytes);
        let place = upload(&hub, len, None);
        assert_eq!(patch(&hub, &place, 0, &bytes[..1_000]).status, 204);
        hub.kill();
        let name = place.rsplit('/').next().expect("a name");
        let folder = hub.data().join("blobs/uploads");
        let info = folder.join(format!("{name}.info"));
        let mut row: Value =
            serde_json::from_slice(&fs::read(&info).expect("what it is to become")).expect("JSON");
        row["offset"] = json!(len);
        fs::write(folder.join(name), &bytes).expect("all of its bytes");
        fs::write(&info, row.to_string()).expect("what it is to become");
        hub.restart();
        let told = call(&hub, "HEAD", &place, &TUS, b"");
        assert_eq!(
            (told.status, told.header("upload-offset")),
            (200, len.to_string())
        );
        assert_eq!(told.header("blob-id"), id.to_string());
        assert_eq!(status(&hub, id)["held"], "whole");
        assert!(!folder.join(name).exists());
    }
}
