//! Test vectors: another implementation that reproduces these bytes and digests speaks our records.

use super::*;

fn wire(json: &str) -> Map {
    match value::decode(
        &mut serde_json::Deserializer::from_str(json),
        &value::Budget::new(32, 10_000),
    )
    .unwrap()
    {
        Value::Map(map) => map,
        other => panic!("{other:?}"),
    }
}

fn entity(json: &str) -> Result<Record, RecordError> {
    Record::from_wire(wire(json), true, false, &Limits::default())
}

const LAMP: &str = r#"{"id":"lamp","version":"2026-06-15T09:41:02.581234+00:00-000417-alice","entity_type":"device",
    "name":"Lamp","content":{"watts":9.0,"colours":["red",null],"nested":{"b":-0.0,"a":0.5}},"user_id":"alice",
    "parent_versions":["v2","v1"],"source_type":null,"deleted":false,"x_unknown":{"kept":true}}"#;

#[test]
fn the_canonical_form_is_fixed_to_the_byte() {
    let lamp = entity(LAMP).unwrap();
    let hex = data_encoding::HEXLOWER.encode(&lamp.canonical());
    assert_eq!(
        hex,
        concat!(
            "88a7636f6e74656e7483a7636f6c6f75727392a3726564c0a66e657374656482a161cb3fe0000000000000a16200a5776174747309",
            "ab656e746974795f74797065a6646576696365a26964a46c616d70a46e616d65a44c616d70a7706172656e74739292a27631c092a2",
            "7632c0a7757365725f6964a5616c696365a776657273696f6ed92d323032362d30362d31355430393a34313a30322e3538313233",
            "342b30303a30302d3030303431372d616c696365a9785f756e6b6e6f776e81a46b657074c3"
        )
    );
    assert_eq!(
        Digest::of(&lamp.canonical()).to_string(),
        "44b669d2785f430be2a809471577d161e1aba2e2b3afa49b145eea721f097437"
    );
}

#[test]
fn what_is_read_back_is_what_was_written() {
    let lamp = entity(LAMP).unwrap();
    let again = Record::from_canonical(&lamp.canonical()).unwrap();
    assert_eq!(lamp, again);
    let pushed_again = Record::from_wire(lamp.to_wire(), true, false, &Limits::default()).unwrap();
    assert_eq!(
        pushed_again.canonical(),
        lamp.canonical(),
        "a record shown and pushed back is the same record"
    );
}

#[test]
fn bytes_that_are_not_canonical_are_refused() {
    let lamp = entity(LAMP).unwrap();
    let mut unsorted = lamp.clone();
    unsorted.parents.reverse();
    assert!(
        Record::from_canonical(&unsorted.canonical()).is_err(),
        "one record, one digest"
    );
    for (key, value) in [("checksum", Value::from("00")), ("x_null", Value::Null)] {
        let mut stray = lamp.clone();
        stray.extra.insert(key.to_owned(), value);
        assert!(Record::from_canonical(&stray.canonical()).is_err(), "{key}");
    }
    let mut longer = lamp.canonical();
    let at = longer.iter().position(|byte| *byte == 0x09).unwrap();
    longer.splice(at..=at, [0xcc, 0x09]);
    assert_eq!(Record::from_canonical(&longer).unwrap_err().code, "malformed");
}

#[test]
fn bad_records_are_refused_by_code() {
    let long = format!(
        r#"{{"id":"a","version":"{}","entity_type":"device"}}"#,
        "v".repeat(10_240)
    );
    let parents = format!(
        r#"{{"id":"a","version":"v","entity_type":"device","parent_versions":[{}"p"]}}"#,
        "\"p\",".repeat(1_024)
    );
    let cases = [
        (r#"{"id":"a","version":"","entity_type":"device"}"#, "bad_version"),
        (r#"{"id":"a","entity_type":"device"}"#, "bad_version"),
        (long.as_str(), "bad_version"),
        (r#"{"id":"","version":"v","entity_type":"device"}"#, "malformed"),
        (r#"{"id":"a","version":"v"}"#, "malformed"),
        (
            r#"{"id":"a","version":"v","entity_type":"device","content":[]}"#,
            "malformed",
        ),
        (
            r#"{"id":"a","version":"v","entity_type":"device","parents":[]}"#,
            "reserved_field",
        ),
        (
            r#"{"id":"a","version":"v","entity_type":"device","checksum":"00"}"#,
            "checksum_mismatch",
        ),
        (
            r#"{"id":"a","version":"v","entity_type":"device","parent_versions":["p"],"parent_digests":["xx"]}"#,
            "malformed",
        ),
        (parents.as_str(), "limit_parents"),
    ];
    for (json, code) in cases {
        assert_eq!(
            entity(json).unwrap_err().code,
            code,
            "{}",
            &json[..json.len().min(120)]
        );
    }
}

/// The door counts values as a client writes them, where a parent is two; in the canonical form it is three.
#[test]
fn what_the_door_lets_in_can_be_read_back() {
    let limits = Limits::default();
    let parents = limits.parents_max;
    let versions = (0..parents).map(|n| Value::Text(format!("v{n:04}"))).collect();
    let digests = vec![Value::Text("00".repeat(32)); parents];
    let list = |len| Value::List(vec![Value::Int(0); len]);
    let body = |len| {
        Value::Map(Map::from([
            ("id".to_owned(), "a".into()),
            ("version".to_owned(), "v".into()),
            ("entity_type".to_owned(), "device".into()),
            ("parent_versions".to_owned(), Value::List(versions)),
            ("parent_digests".to_owned(), Value::List(digests)),
            (
                "content".to_owned(),
                Value::Map(Map::from([("list".to_owned(), list(len))])),
            ),
        ]))
    };
    let around = 1 + 3 + 2 * (1 + parents) + 2;
    let mut bytes = Vec::new();
    body(limits.elements_max - around).encode(&mut bytes);
    let budget = value::Budget::new(limits.depth_max, limits.elements_max);
    let Ok(Value::Map(map)) = value::decode_msgpack(&bytes, &budget) else {
        panic!("as large as the door lets in")
    };
    let record = Record::from_wire(map, true, true, &limits).unwrap();
    let again = Record::from_canonical(&record.canonical()).map_err(|error| error.detail);
    assert!(again.as_ref() == Ok(&record), "{:?}", again.err());
}
