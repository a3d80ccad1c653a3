//! 3GPP AKA: Milenage, TUAK, sequence numbers and resynchronisation (TS 33.102, 35.206, 35.231)
