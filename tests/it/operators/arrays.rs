//! Arrays: of numbers, text, enums, times.

use super::*;

#[tokio::test]
async fn arrays_are_compared_by_their_elements() {
    let fixture = &samples().await;
    let borrowed = vec![2];
    check! { fixture;
        s().numbers().contains([1, 2]) => "numbers @> '{1,2}'";
        s().numbers().contains(3) => "numbers @> '{3}'";
        s().numbers().contains(vec![1, 1]) => "numbers @> '{1,1}'";
        s().numbers().contains(Vec::<i32>::new()) => "numbers @> '{}'";
        s().numbers().contains(&[2, 3][..]) => "numbers @> '{2,3}'";
        s().numbers().contains(s().numbers()) => "numbers @> numbers";
        s().numbers().contained_by([1, 2]) => "numbers <@ '{1,2}'";
        s().numbers().contained_by(1..=2) => "numbers <@ '{1,2}'";
        s().numbers().contained_by(Vec::<i32>::new()) => "numbers <@ '{}'";
        s().numbers().overlaps([2, 9]) => "numbers && '{2,9}'";
        s().numbers().overlaps(Vec::<i32>::new()) => "numbers && '{}'";
        s().numbers().has_any([3, 9]) => "numbers && '{3,9}'";
        s().numbers().has_all([1, 3]) => "numbers @> '{1,3}'";
        s().numbers().has_all(&borrowed) => "numbers @> '{2}'";
        s().numbers().has(2) => "2 = ANY(numbers)";
        s().numbers().has(s().id()) => "id = ANY(numbers)";
        s().numbers().length().gte(2) => "cardinality(numbers) >= 2";
        s().numbers().length().eq(s().id()) => "cardinality(numbers) = id";
        s().numbers().is_empty() => "numbers = '{}'";
        s().numbers().is_not_empty() => "numbers <> '{}'";
    }
    check! { fixture;
        s().words().contains("w2") => "words @> '{w2}'";
        s().words().contains(["w1", "it's \"quoted\""]) => r#"words @> ARRAY['w1', 'it''s "quoted"']"#;
        s().words().contains(&["w1".to_owned()]) => "words @> '{w1}'";
        s().words().contains(String::from("w3")) => "words @> '{w3}'";
        s().words().contained_by(["w1", "it's \"quoted\""]) => r#"words <@ ARRAY['w1', 'it''s "quoted"']"#;
        s().words().overlaps(&["w1", "w2"]) => "words && '{w1,w2}'";
        s().words().has_any(["w1", "w2"].map(str::to_owned)) => "words && '{w1,w2}'";
        s().words().has_all(["w1", "w2"]) => "words @> '{w1,w2}'";
        s().words().has("w3") => "'w3' = ANY(words)";
        s().words().is_empty() => "words = '{}'";
    }
    // Arrays of a native enum are cast to the enum's arrays.
    check! { fixture;
        s().moods().contains(Mood::Calm) => "moods @> '{Calm}'";
        s().moods().contains([Mood::Sad, Mood::Happy]) => "moods @> '{Sad,Happy}'";
        s().moods().contained_by([Mood::Sad, Mood::Calm]) => "moods <@ '{Sad,Calm}'";
        s().moods().overlaps([Mood::Calm, Mood::Happy]) => "moods && '{Calm,Happy}'";
        s().moods().has(Mood::Happy) => "'Happy' = ANY(moods)";
        s().moods().has(s().mood()) => "mood = ANY(moods)";
        s().mood().is_in(s().moods()) => "mood = ANY(moods)";
        s().moods().length().lt(2) => "cardinality(moods) < 2";
        s().moments().contains(at(2)) => "moments @> ARRAY[to_timestamp(1700172800.25)]";
        s().moments().overlaps([at(1), at(3)]) => "moments && ARRAY[to_timestamp(1700086400.25), to_timestamp(1700259200.25)]";
        s().moments().has(s().at()) => "at = ANY(moments)";
    }
}

#[tokio::test]
async fn bytes_have_a_length_too() {
    let fixture = &samples().await;
    check! { fixture;
        s().bytes().length().eq(2) => "length(bytes) = 2";
        s().bytes().is_empty() => r"bytes = '\x'";
        s().text().length().gt(5) => "length(text) > 5";
        s().text().is_empty() => "text = ''";
        s().text().is_not_empty() => "text <> ''";
    }
}
