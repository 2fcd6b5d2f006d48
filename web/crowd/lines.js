// What a simulated crowd is called and says. Invented; nobody's real words.

export const COLORS = ['#ffd166', '#ff8a5c', '#ff7eb6', '#c49bff', '#6cc8ff', '#5ff0c0', '#c8f05a'];

export const NAMES = [
  '小满', '阿柚', '北岛的风', '晚安月亮', '橘子汽水', '一只海獭', '山有木兮', '不吃香菜', '雨夜电台', '麻薯团子',
  '青柠', '云朵搬运工', '南方以南', '老周', '柚子茶', '半糖去冰', '鲸落', '夜航船', '豆包', '小林同学',
  'Mika', 'Theo', 'nightowl', 'Sofía', 'Jonas', 'pixelfox', 'Amara', 'Kenji', 'lofi_lena', 'Ravi',
  'Noor', 'Elliot', 'June', 'Marek', 'Yuki', 'Bea', 'Oskar', 'Priya', 'sam_w', 'Lucía',
];

export const LINES = {
  zh: [
    '打卡', '来了来了', '晚上好呀', '这画面绝了', '极光也太美了吧', '可以当壁纸', '好治愈', '哈哈哈哈', '666', '前方高能',
    '那艘小船要去哪', '水面的倒影好真', '月亮好圆', '有人一起看吗', '刚下班，来放松一下', '第一次见这么多弹幕', '弹幕护体', '这里是成都，晚安', '广州报到',
    '火车来了！', '好安静，喜欢', '一个人看也不孤单', '戴上耳机更好', '截图了', '想去海边', '谁在写作业举手', '我在我在', '在加班的路过', '泪目',
    '求同款天空', '城市的灯好像星星', '风从海上来', '这个颜色我能看一晚', '今天也辛苦啦', '路过留个脚印', '水波好细腻', '谁懂啊', '一起发呆', '等等我，我刚来', '码住', '把窗户打开，海风进来了', '这条弹幕给明天的自己', '合照合照', '考完试了！！', '听着雨声看极光', '我家那边也有这样的海', '看到凌晨的扣1', '1', '11111', '这风景值得熬夜', '希望今年也顺顺利利', '妈妈问我为什么跪着看', '爱了爱了', '慢慢来，都会好的', '左边那栋楼还亮着灯',
  ],
  en: [
    'hello from Lisbon', 'good evening everyone', 'this is so calm', 'the reflections!!', 'wallpaper please', 'look at that aurora', 'where is the little boat going?', 'first time here, hi',
    'cozy', 'lol', 'W', 'best corner of the internet', 'night train!', 'the moon looks huge tonight', 'greetings from Osaka', 'who else is studying?', 'me', 'same',
    'I could watch this for hours', 'someone still works on the 9th floor', 'tea in hand, ready', 'that green...', 'so many of us tonight', 'wave to the boat 👋', 'ok this is beautiful', 'goosebumps',
    'nice and smooth here', '3 am and no regrets', 'sending this to my sister', 'deep breath', 'hi from the back row', 'can smell the sea from here', 'just got home, what did I miss?', 'turn the lights off for this one', 'these colours', 'note to self: go outside', 'exam done!!!', 'my cat is watching too', 'slow evening, good company', 'hello from a night bus', 'who lives in the tall one?', 'one more minute, then bed', 'told my friends to come', '🌊🌊🌊',
  ],
};

export const MOMENTS = {
  star: {
    zh: ['流星！！！', '许愿许愿', '快许愿', '✨✨✨', '看到了看到了', '啊啊啊错过了', '刚才那是流星吗', '希望大家都好', '愿望已发送', '好快！'],
    en: ['make a wish!', 'shooting star!!', 'did you see that?', 'wished for sleep', '✨✨✨', 'missed it, again', 'there!!', 'that was fast', 'wishing well for you all'],
  },
  fireworks: {
    zh: ['烟花！！！', '哇————', '前方高能', '好美啊啊啊', '🎆🎆🎆', '新年快乐（提前）', '烟花倒映在海里', '合影合影', '泪目了', '再来一个！', '这也太浪漫了'],
    en: ['FIREWORKS', 'wooow', 'the sea lights up!', '🎇🎇🎇', 'everyone look up', 'the reflection!!', 'encore', 'so pretty', 'happy new year, early', 'best seat in town'],
  },
};

/** Hands out a list in random order, without repeats until all have had their turn. */
export class Bag {
  #all; #left = [];
  constructor(list) { this.#all = list; }

  next() {
    if (!this.#left.length) this.#left = [...this.#all];
    return this.#left.splice(Math.floor(Math.random() * this.#left.length), 1)[0];
  }
}
