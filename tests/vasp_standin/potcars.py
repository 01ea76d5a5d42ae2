"""A folder of stand-ins for POTCARs: the few header lines that are read, and no potential."""

from __future__ import annotations

VALENCES = {"Cu": 11, "Al": 3, "Ni": 10, "Ag": 11, "Mo": 12, "W": 14, "S": 6, "Se": 6, "B": 3, "C": 4, "N": 5}
VALENCES |= {"Ga": 13, "In": 13, "P": 5}

FORM = """  PAW_PBE {symbol} 01Jan2026
   {valence:.8f}
 parameters from PSCTR are:
   VRHFIN ={element}: stand-in
   LEXCH  = PE
   EATOM  =   100.0000 eV,   10.0000 Ry

   TITEL  = PAW_PBE {symbol} 01Jan2026
   LULTRA =        F    use ultrasoft PP ?
   RPACOR =    0.000    partial core radius
   POMASS =   10.000; ZVAL   =   {valence:.3f}    mass and valenz
   RCORE  =    2.000    outmost cutoff radius
   ENMAX  =  300.000; ENMIN  =  200.000 eV
   EAUG   =  500.000
   DEXC   =    0.000
 END of PSCTR-controll parameters
 local part
   1.0 2.0 3.0
 this is a stand-in and holds no potential
 End of Dataset
"""


def write_potcars(folder, symbols, functional="POT_GGA_PAW_PBE_54"):
    """Write POTCAR.Mo_pv and so on, as pymatgen looks for them under PMG_VASP_PSP_DIR; the folder."""
    (folder / functional).mkdir(parents=True, exist_ok=True)
    for symbol in symbols:
        element = symbol.split("_")[0]
        text = FORM.format(symbol=symbol, element=element, valence=float(VALENCES[element]))
        (folder / functional / f"POTCAR.{symbol}").write_text(text)
    return folder
