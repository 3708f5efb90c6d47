"""Units and plausible ranges of the clinical fields: the one place where a number changes its unit.

Every field is kept in one unit, the one in its name. A field may be given in its SI unit under
another name and is then converted here, once. The factors make the published pairs exact: calcium
2.75 mmol/L is 11 mg/dL and creatinine 177 umol/L is 2.0 mg/dL (Rajkumar, Lancet Oncol 2014;15:e538).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from marrowmap.data.errors import ClinicalInputError

#: Two numbers for one quantity may differ by this much, for rounding.
AGREEMENT = 0.02


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What a numeric field may hold.

    Attributes:
        low: Lowest plausible value.
        high: Highest plausible value.
        unit: Its unit, for messages.
        hint: What a value outside is most often: a mix-up of units.
        is_whole: True for a whole number.
    """

    low: float
    high: float
    unit: str
    hint: str = ""
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True)
class OtherUnit:
    """A second name under which a field may be given.

    Attributes:
        field: The field that it stands for.
        per_unit: Divide by this to get the field's unit.
        quantity: Plausible range in this unit.
    """

    field: str
    per_unit: float
    quantity: Quantity


QUANTITIES = {
    "age_years": Quantity(low=0, high=120, unit="years"),
    "height_m": Quantity(low=0.4, high=2.6, unit="m", hint="cm are divided by 100"),
    "weight_kg": Quantity(low=2, high=400, unit="kg", hint="g are divided by 1000"),
    "haemoglobin_g_per_dl": Quantity(low=2, high=25, unit="g/dL", hint="use haemoglobin_g_per_l for g/L"),
    "haemoglobin_lower_limit_g_per_dl": Quantity(
        low=10.5, high=15, unit="g/dL", hint="use haemoglobin_lower_limit_g_per_l for g/L"
    ),
    "calcium_mg_per_dl": Quantity(low=5, high=25, unit="mg/dL", hint="use calcium_mmol_per_l for mmol/L"),
    "calcium_upper_limit_mg_per_dl": Quantity(
        low=9.5, high=12, unit="mg/dL", hint="use calcium_upper_limit_mmol_per_l for mmol/L"
    ),
    "creatinine_mg_per_dl": Quantity(
        low=0.2, high=20, unit="mg/dL", hint="use creatinine_umol_per_l for umol/L"
    ),
    "creatinine_clearance_ml_per_min": Quantity(low=0, high=250, unit="ml/min"),
    "albumin_g_per_dl": Quantity(low=0.5, high=7, unit="g/dL", hint="use albumin_g_per_l for g/L"),
    "beta2_microglobulin_mg_per_l": Quantity(low=0.3, high=150, unit="mg/L", hint="nmol/L are divided by 85"),
    "ldh_u_per_l": Quantity(low=20, high=20000, unit="U/L", hint="ukat/L are multiplied by 60"),
    "ldh_upper_limit_u_per_l": Quantity(low=100, high=1000, unit="U/L", hint="ukat/L are multiplied by 60"),
    "plasma_cells_percent": Quantity(low=0, high=100, unit="%"),
    "m_protein_serum_g_per_dl": Quantity(
        low=0, high=15, unit="g/dL", hint="use m_protein_serum_g_per_l for g/L"
    ),
    "m_protein_urine_g_per_24h": Quantity(low=0, high=60, unit="g/24 h", hint="mg are divided by 1000"),
    "flc_involved_mg_per_l": Quantity(low=0.1, high=200000, unit="mg/L", hint="mg/dL are multiplied by 10"),
    "flc_uninvolved_mg_per_l": Quantity(low=0.01, high=5000, unit="mg/L", hint="mg/dL are multiplied by 10"),
    "flc_ratio": Quantity(
        low=0.26, high=2e7, unit="", hint="it is involved over uninvolved, not kappa over lambda"
    ),
    "lytic_lesions_ct": Quantity(low=0, high=1000, unit="lesions", is_whole=True),
    "bone_scale": Quantity(low=0, high=3, unit="", is_whole=True),
    "psa_ng_per_ml": Quantity(low=0, high=100000, unit="ng/mL"),
    "pet_focal_lesions": Quantity(low=0, high=1000, unit="lesions", is_whole=True),
    "crp_mg_per_l": Quantity(low=0, high=1000, unit="mg/L", hint="mg/dL are multiplied by 10"),
    "esr_mm_per_h": Quantity(low=0, high=200, unit="mm/h"),
}

OTHER_UNITS = {
    "haemoglobin_g_per_l": OtherUnit(
        field="haemoglobin_g_per_dl", per_unit=10, quantity=Quantity(low=26, high=250, unit="g/L")
    ),
    "haemoglobin_lower_limit_g_per_l": OtherUnit(
        field="haemoglobin_lower_limit_g_per_dl",
        per_unit=10,
        quantity=Quantity(low=105, high=150, unit="g/L"),
    ),
    "calcium_mmol_per_l": OtherUnit(
        field="calcium_mg_per_dl", per_unit=0.25, quantity=Quantity(low=1.25, high=4.99, unit="mmol/L")
    ),
    "calcium_upper_limit_mmol_per_l": OtherUnit(
        field="calcium_upper_limit_mg_per_dl",
        per_unit=0.25,
        quantity=Quantity(low=2.375, high=3, unit="mmol/L"),
    ),
    "creatinine_umol_per_l": OtherUnit(
        field="creatinine_mg_per_dl", per_unit=88.5, quantity=Quantity(low=21, high=1770, unit="umol/L")
    ),
    "albumin_g_per_l": OtherUnit(
        field="albumin_g_per_dl", per_unit=10, quantity=Quantity(low=7.1, high=70, unit="g/L")
    ),
    "m_protein_serum_g_per_l": OtherUnit(
        field="m_protein_serum_g_per_dl", per_unit=10, quantity=Quantity(low=0, high=150, unit="g/L")
    ),
}


def checked(name: str, value: object, quantity: Quantity) -> float:
    """Return a value that its field may hold.

    Raises:
        ClinicalInputError: If it is not a finite number, not whole where it must be, or implausible.
    """
    unit = f" {quantity.unit}" if quantity.unit else ""
    wanted = f"{name}: need {quantity.low:g} to {quantity.high:g}{unit}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ClinicalInputError(f"{wanted}, found {value!r}; give a number, or leave it out when unknown")
    if not quantity.low <= value <= quantity.high:
        hint = f" ({quantity.hint})" if quantity.hint else ""
        raise ClinicalInputError(f"{wanted}, found {value:g}; check the value and its unit{hint}")
    if quantity.is_whole and value != int(value):
        raise ClinicalInputError(f"{wanted}, found {value:g}; give a whole number")
    return int(value) if quantity.is_whole else float(value)


def agree(one: float, other: float) -> bool:
    """Return whether two numbers for one quantity differ by no more than rounding."""
    return math.isclose(one, other, rel_tol=AGREEMENT, abs_tol=1e-9)


def in_one_unit(given: dict[str, object]) -> dict[str, object]:
    """Return the fields with every second name converted into the field it stands for.

    Args:
        given: Fields by name, unknown ones absent or None.

    Raises:
        ClinicalInputError: If both names of a quantity are given and disagree.
    """
    fields = {name: value for name, value in given.items() if name not in OTHER_UNITS}
    for name in OTHER_UNITS.keys() & given.keys():
        if given[name] is None:
            continue
        other = OTHER_UNITS[name]
        # Rounding takes away what the division adds, so that 177 umol/L meets the limit of 2.0 mg/dL.
        converted = round(checked(name, given[name], other.quantity) / other.per_unit, 9)
        stated = fields.get(other.field)
        if stated is None:
            fields[other.field] = converted
        elif not agree(checked(other.field, stated, QUANTITIES[other.field]), converted):
            raise ClinicalInputError(
                f"{name}: {given[name]} {other.quantity.unit} is {converted:g} "
                f"{QUANTITIES[other.field].unit}, but {other.field} says {stated}; give one of the two"
            )
    return fields
