// The chart library and its styles, as one lazily loaded piece.
import 'uplot/dist/uPlot.min.css'
import uPlot from 'uplot'

export default uPlot
