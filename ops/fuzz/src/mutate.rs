//! Changes inputs where their meaning is: a value of a JSON document, rather than a byte of it.

use serde_json::{Map, Value, json};

/// Changes one value of one line that is JSON; `None` when no line is, or when bytes shall be changed for once.
pub fn json_lines(data: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut dice = Dice(u64::from(seed) | 1 << 40);
    if dice.below(4) == 0 {
        return None;
    }
    let mut lines: Vec<Vec<u8>> = data.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let readable: Vec<usize> = (0..lines.len()).filter(|line| document(&lines[*line]).is_some()).collect();
    let line = *readable.get(dice.below(readable.len()))?;
    let mut value = document(&lines[line])?;
    for _ in 0..=dice.below(3) {
        let donor = nth(&value, dice.below(count(&value)))?.clone();
        let position = dice.below(count(&value));
        change(nth_mut(&mut value, position)?, &donor, &mut dice);
    }
    lines[line] = serde_json::to_vec(&value).ok()?;
    if dice.below(16) == 0 {
        // What has happened happens again.
        let again = lines[line].clone();
        lines.push(again);
    }
    Some(lines.join(&b'\n'))
}

fn document(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok().filter(|value: &Value| value.is_object() || value.is_array())
}

fn change(value: &mut Value, donor: &Value, dice: &mut Dice) {
    match dice.below(4) {
        0 => *value = donor.clone(),
        1 => *value = odd(dice),
        _ => match value {
            Value::Object(map) => change_map(map, donor, dice),
            Value::Array(items) => match dice.below(3) {
                0 => items.push(donor.clone()),
                1 => drop(items.pop()),
                _ => items.extend(items.clone().into_iter().take(64)),
            },
            Value::String(text) => match dice.below(4) {
                0 => text.push(['\0', '%', '/', '`', '\'', '\u{e9}', '\u{1f980}', ' '][dice.below(8)]),
                1 => drop(text.pop()),
                2 => *text = text.repeat(2).chars().take(512).collect(),
                _ => text.insert(0, ['0', '-', 'x', ':'][dice.below(4)]),
            },
            Value::Number(number) => {
                let step = [1, -1, 1000][dice.below(3)];
                *value = json!(number.as_i64().unwrap_or_default().wrapping_add(step));
            }
            Value::Bool(truth) => *truth = !*truth,
            Value::Null => *value = donor.clone(),
        },
    }
}

fn change_map(map: &mut Map<String, Value>, donor: &Value, dice: &mut Dice) {
    let Some(key) = map.keys().nth(dice.below(map.len())).cloned() else { return };
    match dice.below(3) {
        0 => drop(map.remove(&key)),
        1 => drop(map.insert(key, donor.clone())),
        _ => drop(map.insert(format!("{key}s"), donor.clone())),
    }
}

/// Values at which programs stumble.
fn odd(dice: &mut Dice) -> Value {
    let odd = [
        json!(0),
        json!(-1),
        json!(u32::MAX),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("%"),
        json!("\0"),
        json!("1"),
        json!("00000000-0000-0000-0000-000000000000"),
        json!(null),
        json!(true),
        json!([]),
        json!({}),
    ];
    odd[dice.below(odd.len())].clone()
}

/// Values in a document, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

fn nth(value: &Value, mut position: usize) -> Option<&Value> {
    if position == 0 {
        return Some(value);
    }
    position -= 1;
    let children: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    };
    for child in children {
        match count(child) {
            inside if position < inside => return nth(child, position),
            inside => position -= inside,
        }
    }
    None
}

fn nth_mut(value: &mut Value, mut position: usize) -> Option<&mut Value> {
    if position == 0 {
        return Some(value);
    }
    position -= 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for child in children {
        match count(child) {
            inside if position < inside => return nth_mut(child, position),
            inside => position -= inside,
        }
    }
    None
}

/// xorshift64 (Marsaglia, 2003).
struct Dice(u64);

impl Dice {
    /// A number below `bound`; 0 when `bound` is 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap_or(0) % bound.max(1)
    }
}
