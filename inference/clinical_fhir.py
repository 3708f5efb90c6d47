"""Clinical input from a FHIR R4 Bundle of laboratory Observations, by LOINC code.

Only sex, height, weight and the results below are read: no name, identifier or date of birth. Other
Observations are passed over; a known one with a unit or value that we do not know is refused.
Source: HL7 FHIR R4, https://hl7.org/fhir/R4/observation.html; codes: https://loinc.org (written from
general knowledge of LOINC, to be checked against a site's own laboratory before use).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from marrowmap.data.errors import ClinicalInputError

_log = logging.getLogger(__name__)

LOINC = "http://loinc.org"
#: Multiply a value in this UCUM unit to get the field's unit.
_GRAMS_PER_DL = {"g/dL": 1.0, "g/L": 0.1, "mg/dL": 0.001}
_CALCIUM = {"mg/dL": 1.0, "mmol/L": 4.0}
_CREATININE = {"mg/dL": 1.0, "umol/L": 1 / 88.5}
_MG_PER_L = {"mg/L": 1.0, "ug/mL": 1.0, "mg/dL": 10.0, "ug/L": 0.001}
_U_PER_L = {"U/L": 1.0, "[IU]/L": 1.0, "IU/L": 1.0}

CODES: dict[str, tuple[str, Mapping[str, float]]] = {
    "8302-2": ("height_m", {"m": 1.0, "cm": 0.01}),
    "29463-7": ("weight_kg", {"kg": 1.0, "g": 0.001}),
    "718-7": ("haemoglobin_g_per_dl", _GRAMS_PER_DL),
    "17861-6": ("calcium_mg_per_dl", _CALCIUM),
    "2000-8": ("calcium_mg_per_dl", _CALCIUM),
    "2160-0": ("creatinine_mg_per_dl", _CREATININE),
    "14682-9": ("creatinine_mg_per_dl", _CREATININE),
    "2164-2": ("creatinine_clearance_ml_per_min", {"mL/min": 1.0}),
    "1751-7": ("albumin_g_per_dl", _GRAMS_PER_DL),
    "1952-1": ("beta2_microglobulin_mg_per_l", _MG_PER_L),
    "2532-0": ("ldh_u_per_l", _U_PER_L),
    "14804-9": ("ldh_u_per_l", _U_PER_L),
    "33358-3": ("m_protein_serum_g_per_dl", _GRAMS_PER_DL),
    "2857-1": ("psa_ng_per_ml", {"ng/mL": 1.0, "ug/L": 1.0}),
    "1988-5": ("crp_mg_per_l", _MG_PER_L),
    "36916-5": ("kappa", _MG_PER_L),
    "33944-0": ("lambda", _MG_PER_L),
}
#: Which end of the reference range is a field of its own.
_LIMITS = {
    "haemoglobin_g_per_dl": ("low", "haemoglobin_lower_limit_g_per_dl"),
    "calcium_mg_per_dl": ("high", "calcium_upper_limit_mg_per_dl"),
    "ldh_u_per_l": ("high", "ldh_upper_limit_u_per_l"),
}
_USELESS = {"entered-in-error", "cancelled"}


def fields_from_bundle(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Return the clinical fields of a FHIR R4 Bundle; of several results of a kind the latest counts.

    Raises:
        ClinicalInputError: If it is no Bundle, if it holds several patients, or names the field of a
            result that cannot be used.
    """
    if bundle.get("resourceType") != "Bundle":
        raise ClinicalInputError(f"need a FHIR Bundle, found resourceType {bundle.get('resourceType')!r}")
    resources = [entry.get("resource", {}) for entry in bundle.get("entry", [])]
    patients = [item for item in resources if item.get("resourceType") == "Patient"]
    subjects = {
        item["subject"].get("reference") for item in resources if isinstance(item.get("subject"), dict)
    }
    if len(patients) > 1 or len(subjects - {None}) > 1:
        raise ClinicalInputError("need the results of one patient, found several; send one Bundle each")
    values: dict[str, Any] = {}
    dates: dict[str, str] = {}
    for item in resources:
        for name, value, date in _results(item):
            if name in values and date == dates[name] and value != values[name]:
                raise ClinicalInputError(f"{name}: two results of one time, {values[name]:g} and {value:g}")
            if name not in values or date > dates[name]:
                values[name], dates[name] = value, date
    for patient in patients:
        values["sex"] = {"male": "M", "female": "F"}.get(patient.get("gender"))
    return _with_involved_chain(values)


def _results(item: Mapping[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Give field, value in the field's unit, and time of one Observation; nothing for another resource."""
    if item.get("resourceType") != "Observation" or item.get("status") in _USELESS:
        return
    codings = item.get("code", {}).get("coding", [])
    codes = [part.get("code") for part in codings if part.get("system", LOINC) == LOINC]
    code = next((code for code in codes if code in CODES), None)
    if code is None:
        _log.info("Observation with LOINC %s is not needed", ", ".join(map(str, codes)) or "nothing")
        return
    if "valueQuantity" not in item:
        return  # a result without a number (dataAbsentReason) is unknown
    name, units = CODES[code]
    date = item.get("effectiveDateTime") or item.get("issued") or ""
    yield name, _in_unit(name, item["valueQuantity"], units), date
    end, limit = _LIMITS.get(name, ("", ""))
    for span in item.get("referenceRange", [])[:1]:
        if end in span:
            yield limit, _in_unit(limit, {**item["valueQuantity"], **span[end]}, units), date


def _in_unit(name: str, quantity: Mapping[str, Any], units: Mapping[str, float]) -> float:
    """Return a FHIR quantity in the field's unit.

    Raises:
        ClinicalInputError: If the unit or the number is not one that we know, or it is a limit (`<`).
    """
    unit, value = str(quantity.get("code") or quantity.get("unit")), quantity.get("value")
    if unit not in units:
        raise ClinicalInputError(f"{name}: need {' or '.join(units)}, found {unit!r}; convert it first")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or quantity.get("comparator"):
        raise ClinicalInputError(f"{name}: need a number, found {quantity.get('comparator', '')}{value!r}")
    return round(value * units[unit], 9)


def _with_involved_chain(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with kappa and lambda as involved and uninvolved.

    Outside the normal kappa/lambda ratio of 0.26 to 1.65 the chain in excess is the involved one.
    Within it no chain is: the larger is taken, and which chain it is stays unknown.
    Source: Katzmann, Clin Chem 2002;48:1437 (normal range; from general knowledge).
    """
    kappa, lambda_ = values.pop("kappa", None), values.pop("lambda", None)
    if kappa is None or lambda_ is None:
        return values
    chain = "kappa" if kappa > 1.65 * lambda_ else "lambda" if kappa < 0.26 * lambda_ else None
    pair = (kappa, lambda_) if chain == "kappa" else (lambda_, kappa)
    involved, uninvolved = pair if chain else (max(pair), min(pair))
    return values | {
        "flc_involved_mg_per_l": involved,
        "flc_uninvolved_mg_per_l": uninvolved,
        "flc_involved_chain": chain,
    }
